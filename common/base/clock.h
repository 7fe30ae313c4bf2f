/* clock - the only reader of time. */
#ifndef SHOTLINE_BASE_CLOCK_H
#define SHOTLINE_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_now_ms(void);  /* monotonic: for deadlines and durations */
int64_t clock_now_us(void);  /* monotonic, finer: for measurements */
int64_t clock_wall_ms(void); /* since 1970: for records that people read */

#endif
