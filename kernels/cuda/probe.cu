// Tells the launcher which of the fatbin's images the driver has picked: a device code
// that was compiled for another architecture, or is older than its launcher, is found at
// load and not in a wrong result.
#include "kernels/cuda/interface.h"

// Launched as one block of one thread. `out`: one SignalboxProbe.
extern "C" __global__ void signalbox_probe(SignalboxProbe* __restrict__ out) {
#ifdef __CUDA_ARCH__
    out->interface_version = SIGNALBOX_KERNELS_INTERFACE;
    out->architecture = __CUDA_ARCH__ / 10;
#ifdef __CUDA_ARCH_SPECIFIC__
    out->architecture_specific = 1;
#else
    out->architecture_specific = 0;
#endif
#endif
}
