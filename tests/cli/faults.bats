#!/usr/bin/env bats
# Registries and networks that fail: pushes and pulls through fixtures/faulty-proxy, a table of faults (faults.table). All of them are
# tried side by side before the first test; each test looks at how its group ended.

load helpers

setup_file() {
    export RESULTS=$BATS_FILE_TMPDIR/results
    SLIPWAY=$SLIPWAY timeout 500 "$BATS_TEST_DIRNAME/run-faults" "$BATS_FILE_TMPDIR/faults" "$BATS_TEST_DIRNAME/faults.table" >"$RESULTS" 2>&1 3>&- || true
}

# Every case of GROUP that the table has is there, and went well.
group() { # GROUP
    local wanted good
    wanted=$(grep -cE "^$1 " "$BATS_TEST_DIRNAME/faults.table")
    good=$(grep -cE "^ok $1 " "$RESULTS" || true)
    if [ "$good" -ne "$wanted" ] || [ "$wanted" -eq 0 ]; then
        echo "$good of $wanted"
        grep -vE '^ok ' "$RESULTS"
        return 1
    fi
}

@test "faults: answers that say not now are waited for, as long as they ask" {
    group status
}

@test "faults: connections that are refused, reset or closed" {
    group connection
}

@test "faults: what was done and whose answer was lost is found, not done again" {
    group lost
}

@test "faults: what stands still is noticed, on the way up and down" {
    group stall
}

@test "faults: downloads that break go on, or begin anew" {
    group download
}

@test "faults: corrupt, truncated and endless content is refused" {
    group content
}

@test "faults: upload sessions go on where the registry says, or anew; no byte comes twice into one" {
    group session
}

@test "faults: registries without PATCH, HEAD or large requests" {
    group lacking
}

@test "faults: blobs elsewhere are fetched without our credentials" {
    group elsewhere
}

@test "faults: tokens that end, token services that fail" {
    group token
}

@test "faults: the base of a build comes through all that, or not at all" {
    group base
}

@test "faults: what ADD fetches comes through all that, or not at all" {
    group add
}

@test "faults: a cache that fails in whatever way costs a warning" {
    group cache
}

@test "faults: layers that go up while they are written go up again, whatever breaks" {
    group ahead
}
