/* disk - SQLite's files in memory, as a virtual file system: what was written and synced is durable, of the rest a loss
 * of power keeps some sectors and drops others. Every write, sync and truncation is a moment in which the coordinator
 * can be killed, and can fail with a full disk or an error of its own. */
#include "tests/sim/world.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR     512
#define MAX_FILES  8
#define SHM_REGION 32768
#define MAX_SHM    64

struct bytes {
    uint8_t *data;
    size_t size, room;
};

struct file {
    char name[96];
    bool there;
    struct bytes now, durable;
    uint8_t *dirty; /* one byte per sector of `now`: written since the last sync */
    size_t dirty_room;
    uint32_t *dirty_list;
    size_t dirty_count, dirty_list_room;
    uint8_t *shm[MAX_SHM];
};

struct disk {
    struct world *w;
    struct file files[MAX_FILES];
    sqlite3_vfs vfs;
    uint64_t syncs;
    int64_t full_until_ms;
};

struct handle {
    sqlite3_file base;
    struct file *file;
    struct disk *disk;
    bool temporary;
};

static void resize(struct bytes *b, size_t size)
{
    if (size > b->room) {
        b->room = size > 2 * b->room ? size : 2 * b->room;
        b->data = xrealloc(b->data, b->room);
    }
    if (size > b->size)
        memset(b->data + b->size, 0, size - b->size);
    b->size = size;
}

static void mark(struct file *f, size_t from, size_t to)
{
    if (to / SECTOR + 1 > f->dirty_room) {
        size_t room = 2 * (to / SECTOR + 1);

        f->dirty = xrealloc(f->dirty, room);
        memset(f->dirty + f->dirty_room, 0, room - f->dirty_room);
        f->dirty_room = room;
    }
    for (size_t s = from / SECTOR; s * SECTOR < to; s++) {
        if (f->dirty[s])
            continue;
        f->dirty[s] = 1;
        if (f->dirty_count == f->dirty_list_room) {
            f->dirty_list_room = f->dirty_list_room ? 2 * f->dirty_list_room : 256;
            f->dirty_list = xrealloc(f->dirty_list, f->dirty_list_room * sizeof *f->dirty_list);
        }
        f->dirty_list[f->dirty_count++] = (uint32_t)s;
    }
}

/* One dirty sector, as far as both have it: to `to` from `from`. */
static void copy_sector(struct bytes *to, const struct bytes *from, size_t sector)
{
    size_t at = sector * SECTOR, end = at + SECTOR;

    if (end > from->size)
        end = from->size;
    if (end > to->size)
        end = to->size;
    if (at < end)
        memcpy(to->data + at, from->data + at, end - at);
}

static void sync_file(struct file *f)
{
    resize(&f->durable, f->now.size);
    for (size_t i = 0; i < f->dirty_count; i++) {
        copy_sector(&f->durable, &f->now, f->dirty_list[i]);
        f->dirty[f->dirty_list[i]] = 0;
    }
    f->dirty_count = 0;
}

void disk_lose_power(struct world *w)
{
    for (struct file *f = w->disk->files; f < w->disk->files + MAX_FILES; f++) {
        if (!f->there)
            continue;
        /* Its new length may have reached the disk, or not. */
        if (f->durable.size != f->now.size && (dice_u64(&w->luck) & 1))
            resize(&f->durable, f->now.size);
        for (size_t i = 0; i < f->dirty_count; i++) {
            if (dice_u64(&w->luck) & 1)
                copy_sector(&f->durable, &f->now, f->dirty_list[i]);
            f->dirty[f->dirty_list[i]] = 0;
        }
        f->dirty_count = 0;
        resize(&f->now, f->durable.size);
        if (f->durable.size)
            memcpy(f->now.data, f->durable.data, f->durable.size);
    }
}

/* ---- what can go wrong ---- */

/* SQLITE_OK, or what the caller must return: the coordinator is dead, or its disk is. *torn: it dies in this moment,
 * and what it was about to do may be half done. */
static int trouble(struct disk *d, int error, bool *torn)
{
    struct world *w = d->w;
    enum step step = coordinator_step(w);

    *torn = step == STEP_DIES;
    if (step != STEP_LIVES)
        return error;
    if (w->now_ms < d->full_until_ms && !w->calm)
        return error == SQLITE_IOERR_WRITE ? SQLITE_FULL : SQLITE_OK;
    if (error == SQLITE_IOERR_WRITE && fault_strikes(w, FAULT_DISK_FULL, 200)) {
        d->full_until_ms = w->now_ms + dice_between(&w->luck, 100, 8000);
        return SQLITE_FULL;
    }
    return fault_strikes(w, FAULT_DISK_ERROR, 200) ? error : SQLITE_OK;
}

/* ---- files ---- */

static int file_close(sqlite3_file *base)
{
    struct handle *h = (struct handle *)base;

    if (h->temporary) {
        free(h->file->now.data);
        free(h->file->dirty);
        free(h->file->dirty_list);
        free(h->file);
    }
    return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *to, int size, sqlite3_int64 at)
{
    struct handle *h = (struct handle *)base;
    const struct bytes *b = &h->file->now;
    size_t have = (size_t)at < b->size ? b->size - (size_t)at : 0;

    if (h->disk->w->coordinator.dead)
        return SQLITE_IOERR_READ;
    if (have >= (size_t)size) {
        memcpy(to, b->data + at, (size_t)size);
        return SQLITE_OK;
    }
    if (have)
        memcpy(to, b->data + at, have);
    memset((uint8_t *)to + have, 0, (size_t)size - have);
    return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *from, int size, sqlite3_int64 at)
{
    struct handle *h = (struct handle *)base;
    size_t written = (size_t)size, end = h->file->now.size;
    bool torn = false;
    int result = h->temporary ? SQLITE_OK : trouble(h->disk, SQLITE_IOERR_WRITE, &torn);

    if (torn)
        written = (size_t)dice_between(&h->disk->w->luck, 0, size);
    if ((result != SQLITE_OK && !torn) || !written)
        return result;
    if ((size_t)at + written > end)
        resize(&h->file->now, (size_t)at + written);
    memcpy(h->file->now.data + at, from, written);
    mark(h->file, (size_t)at < end ? (size_t)at : end, (size_t)at + written);
    return result;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct handle *h = (struct handle *)base;
    bool torn = false;
    int result = h->temporary ? SQLITE_OK : trouble(h->disk, SQLITE_IOERR_TRUNCATE, &torn);

    if (result == SQLITE_OK && (size_t)size < h->file->now.size)
        resize(&h->file->now, (size_t)size);
    return result;
}

static int file_sync(sqlite3_file *base, int flags)
{
    struct handle *h = (struct handle *)base;
    bool torn = false;
    int result = h->temporary ? SQLITE_OK : trouble(h->disk, SQLITE_IOERR_FSYNC, &torn);

    (void)flags;
    h->disk->syncs++;
    if ((result == SQLITE_OK || (torn && (dice_u64(&h->disk->w->luck) & 1))) && h->disk->w->set.plant != PLANT_NO_SYNC)
        sync_file(h->file);
    return result;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size)
{
    *size = (sqlite3_int64)((struct handle *)base)->file->now.size;
    return SQLITE_OK;
}

/* One process, one connection: nobody to lock out. */
static int file_lock(sqlite3_file *base, int level)
{
    (void)base, (void)level;
    return SQLITE_OK;
}

static int file_reserved(sqlite3_file *base, int *reserved)
{
    (void)base;
    *reserved = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int op, void *arg)
{
    (void)base, (void)op, (void)arg;
    return SQLITE_NOTFOUND;
}

static int sector_size(sqlite3_file *base)
{
    (void)base;
    return SECTOR;
}

static int characteristics(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **to)
{
    struct file *f = ((struct handle *)base)->file;

    *to = NULL;
    if (region >= MAX_SHM || size != SHM_REGION)
        return SQLITE_IOERR_SHMMAP;
    if (!f->shm[region] && extend)
        f->shm[region] = xcalloc(1, SHM_REGION);
    *to = f->shm[region];
    return SQLITE_OK;
}

static int shm_lock(sqlite3_file *base, int offset, int n, int flags)
{
    (void)base, (void)offset, (void)n, (void)flags;
    return SQLITE_OK;
}

static void shm_barrier(sqlite3_file *base)
{
    (void)base;
}

static int shm_unmap(sqlite3_file *base, int remove)
{
    struct file *f = ((struct handle *)base)->file;

    (void)remove; /* the memory of a process: gone with it */
    for (int i = 0; i < MAX_SHM; i++) {
        free(f->shm[i]);
        f->shm[i] = NULL;
    }
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

/* ---- names ---- */

static struct file *find(struct disk *d, const char *name)
{
    for (struct file *f = d->files; f < d->files + MAX_FILES; f++)
        if (!strcmp(f->name, name))
            return f;
    return NULL;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *out)
{
    struct disk *d = vfs->pAppData;
    struct handle *h = (struct handle *)base;
    struct file *f = name ? find(d, name) : xcalloc(1, sizeof *f);

    base->pMethods = NULL;
    if (d->w->coordinator.dead)
        return SQLITE_CANTOPEN;
    for (struct file *free_one = d->files; !f && free_one < d->files + MAX_FILES; free_one++)
        if (!*free_one->name) {
            f = free_one;
            snprintf(f->name, sizeof f->name, "%s", name);
        }
    if (!f || (name && !f->there && !(flags & SQLITE_OPEN_CREATE)))
        return SQLITE_CANTOPEN;
    f->there = true;
    *h = (struct handle){ .base = { &methods }, .file = f, .disk = d, .temporary = !name };
    if (out)
        *out = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    struct disk *d = vfs->pAppData;
    struct file *f = find(d, name);
    bool torn;
    int result = trouble(d, SQLITE_IOERR_DELETE, &torn);

    (void)sync;
    if (result != SQLITE_OK)
        return result;
    if (!f || !f->there)
        return SQLITE_IOERR_DELETE_NOENT;
    for (size_t i = 0; i < f->dirty_count; i++)
        f->dirty[f->dirty_list[i]] = 0;
    f->dirty_count = 0;
    f->now.size = f->durable.size = 0;
    f->there = false;
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *there)
{
    const struct file *f = find(vfs->pAppData, name);

    (void)flags;
    *there = f && f->there;
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int room, char *to)
{
    (void)vfs;
    return snprintf(to, (size_t)room, "%s", name) < room ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int vfs_randomness(sqlite3_vfs *vfs, int size, char *to)
{
    struct dice d = { 7 };

    (void)vfs;
    for (int i = 0; i < size; i++)
        to[i] = (char)dice_u64(&d);
    return size;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    (void)vfs;
    return us;
}

static int vfs_time(sqlite3_vfs *vfs, double *now)
{
    const struct disk *d = vfs->pAppData;

    *now = 2460000.5 + (double)d->w->now_ms / 86400000.0;
    return SQLITE_OK;
}

static int vfs_error(sqlite3_vfs *vfs, int size, char *to)
{
    (void)vfs;
    if (size > 0)
        *to = '\0';
    return 0;
}

void disk_open(struct world *w)
{
    struct disk *d = w->disk = xcalloc(1, sizeof *d);

    d->w = w;
    d->vfs = (sqlite3_vfs){ .iVersion = 1,
                            .szOsFile = sizeof(struct handle),
                            .mxPathname = 95,
                            .zName = "sim",
                            .pAppData = d,
                            .xOpen = vfs_open,
                            .xDelete = vfs_delete,
                            .xAccess = vfs_access,
                            .xFullPathname = vfs_full_path,
                            .xRandomness = vfs_randomness,
                            .xSleep = vfs_sleep,
                            .xCurrentTime = vfs_time,
                            .xGetLastError = vfs_error };
    sqlite3_randomness(0, NULL); /* its dice begin anew in every world */
    sqlite3_vfs_register(&d->vfs, 1);
}

void disk_close(struct world *w)
{
    struct disk *d = w->disk;

    sqlite3_vfs_unregister(&d->vfs);
    for (struct file *f = d->files; f < d->files + MAX_FILES; f++) {
        free(f->now.data);
        free(f->durable.data);
        free(f->dirty);
        free(f->dirty_list);
    }
    free(d);
    w->disk = NULL;
}

uint64_t disk_syncs(const struct world *w)
{
    return w->disk->syncs;
}

int64_t disk_bytes(const struct world *w)
{
    int64_t sum = 0;

    for (const struct file *f = w->disk->files; f < w->disk->files + MAX_FILES; f++)
        sum += (int64_t)f->now.size;
    return sum;
}
