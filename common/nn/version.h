/* version - names the arithmetic. It is part of every task key: raise it when a change of kernels, models, sampling,
 * noise, blending, decoding or stitching gives other bytes for the same task. */
#ifndef SHOTLINE_NN_VERSION_H
#define SHOTLINE_NN_VERSION_H

#define KERNEL_SET_VERSION 3u

#endif
