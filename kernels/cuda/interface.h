// What the fatbin and its launcher agree on.
#pragma once

// Raised whenever a kernel's name, parameters or launch shape change: a launcher refuses a
// fatbin of another version.
#define SIGNALBOX_KERNELS_INTERFACE 1u

// What `signalbox_probe` writes, in this order.
struct SignalboxProbe {
    // Of SIGNALBOX_KERNELS_INTERFACE.
    unsigned int interface_version;
    // Compute capability that the image was compiled for, times ten: 80 or 90.
    unsigned int architecture;
    // 1 in the image with the instructions of that architecture alone (sm_90a); 0 in those
    // that later devices run too, be it machine code or PTX.
    unsigned int architecture_specific;
};
