#!/usr/bin/env bash
# floors - reads every #include: a file includes its own floor and those below, and each foreign header has one home.
set -u
cd "$(dirname "$0")/../.."
bad=0

# floor FOLDER ALLOWED...: what the project's own includes of a folder may start with.
floor() {
    local folder=$1 allowed
    shift
    [ -d "$folder" ] || { echo "floors: $folder is missing" && exit 1; }
    allowed=$(printf '|%s' "$@")
    while IFS=: read -r file line text; do
        local target=${text#*\"}
        target=${target%%\"*}
        [[ $target =~ ^(${allowed:1})/ ]] && continue
        echo "$file:$line: includes \"$target\"; $folder may include only: $*"
        bad=$((bad + 1))
    done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' --include='*.c' --include='*.h' "$folder")
}

# home HEADER-PATTERN FILE-PATTERN: a foreign header, and the only files that may include it.
home() {
    while IFS=: read -r file line text; do
        [[ $file =~ ^($2)$ ]] && continue
        echo "$file:$line: ${text//#include /} has its home elsewhere: $2"
        bad=$((bad + 1))
    done < <(grep -rnE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($1)" --include='*.c' --include='*.h' common worker coordinator client)
}

floor common/base common/base
floor common/gpu common/base common/gpu shaders
floor common/wire common/base common/wire proto
floor common/nn common/base common/gpu common/nn shaders
floor worker common/base common/wire common/gpu common/nn proto worker
floor coordinator common/base common/wire common/nn proto coordinator
floor client common/base common/wire proto client

home 'vulkan/' 'common/gpu/.*'
home '(czmq|zmq)\.h' 'common/wire/.*|coordinator/(loop|main|planner[a-z_]*)\.c|worker/(loop|main|courier|runner)\.c'
home 'sqlite3\.h' 'coordinator/store[a-z_]*\.[ch]'
home 'lib(av|sw)[a-z]+/' 'worker/video_[a-z]+\.[ch]'
home 'libconfig\.h' 'common/base/config\.c'
home 'jansson\.h' 'common/base/json\.h'
home 'sodium\.h' 'common/base/hash\.h'
home 'pcre2\.h' 'common/nn/.*'
home 'utf8proc\.h' 'common/nn/.*'

# Nothing that came from outside is ever run: only the client starts programs, and those of the farm.
while IFS=: read -r file line text; do
    [[ $file =~ ^client/(local_farm|cmd_fsck)\.c$ ]] && continue
    echo "$file:$line: starts a program:$text"
    bad=$((bad + 1))
done < <(grep -rnE '(^|[^a-z_.>])(system|popen|fork|vfork|posix_spawnp?|dlopen|exec(l|v|le|ve|lp|vp|vpe)) ?\(' --include='*.c' --include='*.h' common worker coordinator client)

# The coordinator's pure core knows neither sockets nor the database nor time.
for core in job lifecycle takes ledger fleet schedule index key plan compile gates gate_scores gate_measures access limits; do
    for file in coordinator/$core.c coordinator/$core.h; do
        [ -f "$file" ] || continue
        while IFS=: read -r line text; do
            echo "$file:$line: the pure core includes ${text#*include }"
            bad=$((bad + 1))
        done < <(grep -nE '#include.*(common/wire/|proto/|coordinator/(store|loop|farm|client_api|worker_api|planner)\.h|clock\.h|zmq|sqlite)' "$file")
    done
done

[ $bad -eq 0 ] || { echo "floors: $bad includes break the rules"; exit 1; }
echo "floors: every include is in its place"
