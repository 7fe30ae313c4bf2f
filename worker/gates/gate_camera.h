/* gate_camera - how the camera moved between two frames: a move and a growth that fit what most of the picture did.
 * Integer arithmetic. */
#ifndef SHOTLINE_WORKER_GATES_GATE_CAMERA_H
#define SHOTLINE_WORKER_GATES_GATE_CAMERA_H

#include "worker/gates/gate_motion.h"

#include <stdbool.h>

struct camera {
    int x, y; /* pixels to the right and down, 1/256: of what is seen at the centre */
    int zoom; /* growth of distances from the centre, 1/65536 */
};

/* `to` against `from`, of a time before: blocks that `apart` [height, width] marks move on their own and have no say.
 * Looks at most `reach` pixels away. False where there is too little to see. */
bool camera_find(struct camera *c, const struct motion_picture *from, const struct motion_picture *to,
                 const uint8_t *apart, int reach);

#endif
