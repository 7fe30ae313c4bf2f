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
floor worker/models common/base common/nn worker/models
floor worker/video common/base worker/video
floor worker/gates common/base worker/gates
floor worker/tasks common/base common/wire common/nn proto worker/models worker/video worker/gates worker/tasks
floor coordinator common/base common/wire common/nn proto coordinator
floor coordinator/plan common/base common/nn coordinator/plan
floor coordinator/core common/base common/nn coordinator/plan coordinator/core
floor coordinator/store common/base common/wire proto coordinator/core coordinator/store
floor coordinator/farm common/base common/wire common/nn proto coordinator/plan coordinator/core coordinator/store coordinator/farm
floor coordinator/api common/base common/wire proto coordinator/core coordinator/store coordinator/farm coordinator/api
floor client common/base common/wire proto client

home 'vulkan/' 'common/gpu/.*'
home '(czmq|zmq)\.h' 'common/wire/.*|coordinator/(loop|main|farm/side_thread)\.c|worker/(loop|main|courier|runner)\.c'
home 'sqlite3\.h' 'coordinator/store/store[a-z_]*\.[ch]'
home 'lib(av|sw)[a-z]+/' 'worker/video/video_[a-z]+\.[ch]'
home 'libconfig\.h' 'common/base/config\.c'
home 'jansson\.h' 'common/base/json\.h'
home 'sodium\.h' 'common/base/hash\.h'
home 'pcre2\.h' 'common/nn/.*'
home 'utf8proc\.h' 'common/nn/.*'

# The coordinator's files know each other in one direction: who is called does not know who calls.
circle=$(grep -rnoE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"coordinator/((plan|core|farm|api)/)?[a-z_]+\.h' --include='*.c' --include='*.h' \
    coordinator/*.[ch] coordinator/{plan,core,farm,api} | sed -E 's/\.[ch]:[0-9]+:.*"/ /; s/\.h$//' | tsort 2>&1 >/dev/null)
if [ -n "$circle" ]; then
    echo "floors: these include each other in a circle:"
    echo "$circle" | awk '/loop:$/ { if (seen++) exit; next } { print "   " $2 }'
    bad=$((bad + 1))
fi

# Nothing that came from outside is ever run: only the client starts programs, and those of the farm.
while IFS=: read -r file line text; do
    [[ $file =~ ^client/(local_farm|cmd_fsck)\.c$ ]] && continue
    echo "$file:$line: starts a program:$text"
    bad=$((bad + 1))
done < <(grep -rnE '(^|[^a-z_.>])(system|popen|fork|vfork|posix_spawnp?|dlopen|exec(l|v|le|ve|lp|vp|vpe)) ?\(' --include='*.c' --include='*.h' common worker coordinator client)

# The coordinator's plan and core decide: time comes in as an argument.
while IFS=: read -r file line text; do
    echo "$file:$line: reads the time"
    bad=$((bad + 1))
done < <(grep -rnE '#include.*clock\.h|[^a-z_](time|clock_gettime|gettimeofday) ?\(' --include='*.c' --include='*.h' coordinator/plan coordinator/core)

[ $bad -eq 0 ] || { echo "floors: $bad includes break the rules"; exit 1; }
echo "floors: every include is in its place"
