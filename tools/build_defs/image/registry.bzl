"""Pulls an image from a registry, by digest: every file is what its sha256 says.

The protocol: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>;
tokens: <https://distribution.github.io/distribution/spec/auth/token/>.
"""

_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"

# Names that are not the host that answers.
_HOSTS = {"docker.io": "registry-1.docker.io"}

# Without TLS only where nobody is between.
_LOOPBACK = ["127.0.0.1", "[::1]", "localhost"]

def parse_reference(image):
    """Takes an image's name apart.

    Args:
      image: REGISTRY/REPOSITORY@sha256:DIGEST.
    Returns:
      A struct: registry, repository, digest.
    """
    name, _, digest = image.partition("@")
    registry, _, repository = name.partition("/")
    host = "." in registry or ":" in registry or registry == "localhost"
    if not host or not repository or ":" in repository or not _is_digest(digest):
        fail("SIGNALBOX_BASE_IMAGE is %r; write REGISTRY/REPOSITORY@sha256:DIGEST, without a tag" % image)
    return struct(digest = digest, registry = registry, repository = repository)

def _is_digest(text):
    if not text.startswith("sha256:"):
        return False
    hex = text[len("sha256:"):]
    return len(hex) == 64 and not hex.strip("0123456789abcdef")

def _hex(descriptor):
    if not _is_digest(descriptor["digest"]):
        fail("the image names a blob by %s; only sha256 is known" % descriptor["digest"])
    return descriptor["digest"][len("sha256:"):]

def _origin(registry):
    host = registry if registry.startswith("[") else registry.partition(":")[0]
    bare = host.partition("]")[0] + "]" if host.startswith("[") else host
    scheme = "http" if bare in _LOOPBACK else "https"
    return "%s://%s" % (scheme, _HOSTS.get(registry, registry))

def _curl(ctx, *args):
    result = ctx.execute(["curl", "-sS"] + list(args))
    if result.return_code:
        fail("curl: " + result.stderr)
    return result.stdout

def _challenge(ctx, origin):
    """The parameters of a registry's demand for a token; none, if it makes no demand."""
    for line in _curl(ctx, "-o", "/dev/null", "-D", "-", origin + "/v2/").splitlines():
        name, _, value = line.partition(":")
        scheme, _, parameters = value.strip().partition(" ")
        if name.lower() == "www-authenticate" and scheme.lower() == "bearer":
            pairs = [part.partition("=") for part in parameters.split(",")]
            return {key.strip(): value.strip().strip('"') for key, _, value in pairs}
    return {}

def _token(ctx, origin, repository):
    """A token for anybody; None, if the registry wants none.

    By curl: Bazel's own downloader keeps the headers of an answer to itself.
    """
    if not ctx.which("curl"):
        return None
    challenge = _challenge(ctx, origin)
    if "realm" not in challenge:
        return None
    realm = challenge["realm"]
    if realm.startswith("http://") and not origin.startswith("http://"):
        fail("%s wants its token asked for without TLS, at %s" % (origin, realm))
    answer = json.decode(_curl(
        ctx,
        "--fail",
        "--get",
        "--data-urlencode",
        "service=" + challenge.get("service", ""),
        "--data-urlencode",
        "scope=repository:%s:pull" % repository,
        realm,
    ))
    return answer.get("token") or answer.get("access_token")

def pull(ctx, reference, folder):
    """Downloads an image for linux/amd64 into an image layout.

    Args:
      ctx: of a repository rule.
      reference: from `parse_reference`.
      folder: where the layout is written.
    """
    origin = _origin(reference.registry)
    base = "%s/v2/%s" % (origin, reference.repository)
    token = _token(ctx, origin, reference.repository)

    def get(kind, descriptor):
        url = "%s/%s/%s" % (base, kind, descriptor["digest"])
        path = "%s/blobs/sha256/%s" % (folder, _hex(descriptor))
        auth = {}
        if token:
            # Not among `headers`: these would go along to whom the registry redirects.
            auth[url] = {"password": token, "pattern": "Bearer <password>", "type": "pattern"}
        ctx.download(
            auth = auth,
            headers = {"Accept": [_MANIFEST, _INDEX, _DOCKER_INDEX]} if kind == "manifests" else {},
            output = path,
            sha256 = _hex(descriptor),
            url = url,
        )
        return path

    descriptor = {"digest": reference.digest}
    path = get("manifests", descriptor)
    document = json.decode(ctx.read(path, watch = "no"))
    if "manifests" in document:
        fitting = [
            it
            for it in document["manifests"]
            if it.get("platform", {}).get("os") == "linux" and it["platform"].get("architecture") == "amd64"
        ]
        if not fitting:
            fail("%s has no image for linux/amd64" % reference.digest)
        ctx.delete(path)
        descriptor = fitting[0]
        path = get("manifests", descriptor)
        document = json.decode(ctx.read(path, watch = "no"))

    if document.get("mediaType", _MANIFEST) != _MANIFEST:
        fail("%s is a %s; name an image in OCI's own format" % (reference.digest, document["mediaType"]))
    get("blobs", document["config"])
    for layer in document["layers"]:
        get("blobs", layer)

    ctx.file(folder + "/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
    ctx.file(folder + "/index.json", json.encode({
        "manifests": [{
            "digest": "sha256:" + _hex(descriptor),
            "mediaType": _MANIFEST,
            "platform": {"architecture": "amd64", "os": "linux"},
            "size": len(ctx.read(path, watch = "no")),
        }],
        "mediaType": _INDEX,
        "schemaVersion": 2,
    }))
