#include "worker/news.h"

#include "common/base/arena.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct item {
    struct news news;
    struct item *next;
};

struct newsroom {
    pthread_mutex_t lock;
    struct item *first, **last;
    int fd;
};

struct newsroom *newsroom_open(struct error *err)
{
    struct newsroom *n = xcalloc(1, sizeof *n);

    n->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (n->fd < 0) {
        error_set(err, ERROR_IO, "eventfd: %s", strerror(errno));
        free(n);
        return NULL;
    }
    pthread_mutex_init(&n->lock, NULL);
    n->last = &n->first;
    return n;
}

void newsroom_close(struct newsroom **n)
{
    struct news dropped;

    if (!*n)
        return;
    while (newsroom_take(*n, &dropped))
        ;
    close((*n)->fd);
    pthread_mutex_destroy(&(*n)->lock);
    free(*n);
    *n = NULL;
}

int newsroom_fd(const struct newsroom *n)
{
    return n->fd;
}

void newsroom_post(struct newsroom *n, const struct news *news)
{
    struct item *item = xcalloc(1, sizeof *item);
    uint64_t one = 1;
    ssize_t written;

    item->news = *news;
    pthread_mutex_lock(&n->lock);
    *n->last = item;
    n->last = &item->next;
    pthread_mutex_unlock(&n->lock);
    do
        written = write(n->fd, &one, sizeof one);
    while (written < 0 && errno == EINTR); /* EAGAIN: it is readable already */
}

bool newsroom_take(struct newsroom *n, struct news *news)
{
    struct item *item;
    uint64_t count;

    pthread_mutex_lock(&n->lock);
    item = n->first;
    if (item) {
        n->first = item->next;
        if (!n->first)
            n->last = &n->first;
    } else if (read(n->fd, &count, sizeof count) < 0) {
        /* nothing was posted since the last look */
    }
    pthread_mutex_unlock(&n->lock);
    if (!item)
        return false;
    *news = item->news;
    free(item);
    return true;
}
