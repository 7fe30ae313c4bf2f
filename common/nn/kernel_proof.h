/* kernel_proof - does this device give the bits that `exact` numerics promise? A small fixed graph with every kind of
 * kernel, and one digest of all that comes out. A worker runs it before it takes work. */
#ifndef SHOTLINE_NN_KERNEL_PROOF_H
#define SHOTLINE_NN_KERNEL_PROOF_H

#include "common/base/hash.h"
#include "common/nn/exec.h"

/* Runs the set and digests every output bit. False when the device fails; a wrong digest is no failure: compare it. */
bool kernel_proof(struct exec *x, struct digest *d, struct error *err);

/* What plain C gives (a test holds exec_ref to it). */
struct digest kernel_proof_reference(void);

#endif
