# Where what is fetched or built once lies; sourced by sh and bash, never run.

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/signalbox
TOOLS=${SIGNALBOX_TOOLS_DIR:-$CACHE/tools}
MODELS=${SIGNALBOX_MODELS_DIR:-$CACHE/models}
STATE=${SIGNALBOX_BAZEL_DIR:-$CACHE/bazel}
