/* gate_camera - how the camera moved between two frames: a move and a growth that fit what most of the picture did.
 * Integer arithmetic. */
#ifndef SHOTLINE_WORKER_GATES_GATE_CAMERA_H
#define SHOTLINE_WORKER_GATES_GATE_CAMERA_H

#include "worker/gates/gate_motion.h"

#include <stdbool.h>

struct camera {
    bool known; /* enough blocks agree on the next three */
    int x, y;   /* pixels to the right and down, 1/256: of what is seen at the centre */
    int zoom;   /* growth of distances from the centre, 1/65536 */

    /* Where all of the picture went, the mean of its blocks: when a camera pans, what is near moves and what is far
     * stays, and most of a picture may be far. Which side it is can be told nevertheless. */
    int drift; /* pixels to the right, 1/256 */
    int say;   /* how much there was to see that tells it: 64 for a clear block, 0 for nothing */
};

/* `to` against `from`, of a time before: blocks that `apart` [height, width] marks move on their own and have no say.
 * Looks at most `reach` pixels away. */
void camera_find(struct camera *c, const struct motion_picture *from, const struct motion_picture *to,
                 const uint8_t *apart, int reach);

#endif
