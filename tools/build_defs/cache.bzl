"""The user's cache, where `make setup` and `signalbox models pull` put things."""

def cached_folder(ctx, variable, name):
    """A folder of the user's cache, as the scripts and programs find it too.

    Args:
      ctx: a repository rule's; its `environ` names the variable, HOME and XDG_CACHE_HOME.
      variable: the environment variable that names the folder, if it is set.
      name: the folder's name in Signalbox's cache, otherwise.
    Returns:
      A path; the folder need not be there.
    """
    folder = ctx.os.environ.get(variable)
    if not folder:
        cache = ctx.os.environ.get("XDG_CACHE_HOME") or (ctx.os.environ.get("HOME", "") + "/.cache")
        folder = "%s/signalbox/%s" % (cache, name)
    return ctx.path(folder)
