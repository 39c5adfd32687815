#!/usr/bin/env bats
# Ctrl-C and kill at any moment: no process, no mount, no temporary file is left, and the store works.

load helpers

setup_file() {
    start_registry
    push_bases
}

teardown_file() {
    stop_registry
}

setup() {
    fresh_environment
}

# Starts a build in a process group of its own, as a shell does at a terminal (what a script starts in the background ignores
# Ctrl-C otherwise); its id is in $group.
start_build() { # ARGUMENT...
    setsid env --default-signal=INT "$SLIPWAY" build --progress=plain "$@" >build.log 2>&1 3>&- &
    group=$!
}

# Waits at most 20 seconds until a command succeeds.
within() { # COMMAND...
    local _
    for _ in $(seq 200); do
        if "$@" >/dev/null 2>&1; then
            return 0
        fi
        sleep 0.1
    done
    echo "not within 20 seconds: $*"
    cat build.log
    return 1
}

ended() {
    ! kill -0 "-$group" 2>/dev/null
}

nothing_left() {
    equal "$(find "$SLIPWAY_HOME/tmp" -mindepth 1 2>/dev/null)" ""
    equal "$(find "$TMPDIR" -mindepth 1)" ""
    run grep -F "$SLIPWAY_HOME" /proc/self/mountinfo
    failed_with 1
}

@test "interrupt: during a RUN, Ctrl-C ends its processes and leaves nothing" {
    needs_root
    context app <<'END'
FROM conformance/busybox:1
RUN echo running; sleep 876543 & sleep 876543
END
    local before
    before=$(wc -l </proc/self/mountinfo)
    start_build app
    within pgrep -f 'sleep 876543'
    kill -INT "-$group"
    within ended
    local status=0
    wait "$group" || status=$?
    equal "$status" 130
    run pgrep -f 'sleep 876543'
    failed_with 1
    nothing_left
    equal "$(wc -l </proc/self/mountinfo)" "$before"
    printf 'FROM conformance/busybox:1\nRUN echo works\n' >app/Dockerfile
    run slipway build app
    succeeded
}

@test "interrupt: SIGTERM ends a build with a status that says so" {
    needs_root
    context app <<'END'
FROM conformance/busybox:1
RUN sleep 765432
END
    start_build app
    within pgrep -f 'sleep 765432'
    kill -TERM "$group"
    within ended
    local status=0
    wait "$group" || status=$?
    equal "$status" 143
    nothing_left
}

@test "interrupt: a kill that cannot be caught leaves no process, and the next build clears up" {
    needs_root
    context app <<'END'
FROM conformance/busybox:1
RUN sleep 654321
END
    start_build app
    within pgrep -f 'sleep 654321'
    kill -KILL "$group"
    wait "$group" || true
    gone() { ! pgrep -f 'sleep 654321'; }
    within gone
    printf 'FROM conformance/busybox:1\nRUN echo works\n' >app/Dockerfile
    run slipway build app
    succeeded
    nothing_left
}

@test "interrupt: a kill while an archive is written leaves the old one and nothing else" {
    mkdir app out
    printf 'FROM scratch\nCOPY big /\n' >app/Dockerfile
    head -c 100000000 /dev/urandom >app/big
    slipway build -q app
    echo old >out/image.tar
    local delay
    for delay in 0.03 0.06 0.1 0.15; do
        start_build -o type=oci,dest=out/image.tar app
        sleep "$delay"
        kill -KILL "-$group" 2>/dev/null || true
        wait "$group" || true
        equal "$(ls out)" image.tar
    done
    slipway build -q -o type=oci,dest=out/image.tar app
    tar -tf out/image.tar | grep -q '^index.json$'
    equal "$(stat -c %a out/image.tar)" 644
}

@test "interrupt: while a layer is written" {
    mkdir app
    printf 'FROM scratch\nCOPY big /\n' >app/Dockerfile
    head -c 300000000 /dev/urandom >app/big
    local delay
    for delay in 0.05 0.2 0.5; do
        start_build app
        sleep "$delay"
        kill -INT "-$group" 2>/dev/null || true
        within ended
        status=0
        wait "$group" || status=$?
        # The last one may have been ready.
        [ "$status" -eq 130 ] || [ "$delay$status" = 0.50 ]
        nothing_left
    done
}
