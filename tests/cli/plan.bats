#!/usr/bin/env bats
# `slipway plan` and `build --explain`: what would run, and which input differs from the last time.

bats_require_minimum_version 1.5.0
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
    context app <<'END'
ARG VERSION=1
FROM conformance/busybox:1 AS tool
ARG VERSION
RUN echo $VERSION > /tool
FROM conformance/busybox:1 AS unused
RUN exit 1
FROM conformance/busybox:1
COPY src /src
COPY --from=tool /tool /tool
CMD ["cat", "/tool"]
END
    mkdir app/src
    echo one >app/src/one
    echo two >app/src/two
}

@test "plan: before the first build everything is to run, and nothing is run" {
    run slipway plan app
    succeeded
    [[ $output == *"because: never made before"* ]]
    [[ $output == *"unused  <-  conformance/busybox:1  (not needed)"* ]]
    [[ $output == *"0 cached, 2 to run, 1 that wait for them"* ]]
    run slipway images -q
    equal "$output" ""
}

@test "plan: after a build all is cached" {
    slipway build -q app
    run slipway plan app
    succeeded
    [[ $output == *"3 cached, 0 to run, 0 that wait for them"* ]]
}

@test "plan: names the file, the argument and the base that differ" {
    slipway build -q app
    echo changed >app/src/two
    run slipway plan app
    [[ $output == *"because: file src/two changed"* ]]
    [[ $output == *"1 cached, 1 to run, 1 that wait for them"* ]]
    rm app/src/two
    run slipway plan app
    [[ $output == *"because: file src/two is gone"* ]]
    run slipway plan --build-arg VERSION=2 app
    [[ $output == *"because: variable VERSION changed"* ]]
    sed -i 's/^FROM conformance.busybox:1$/FROM conformance\/configured:1/' app/Dockerfile
    run slipway plan app
    [[ $output == *"because: what the step starts from (the base or an earlier step) changed, file src/two is gone"* ]]
}

@test "plan --json: states and reasons for programs" {
    slipway build -q app
    echo changed >app/src/two
    run --separate-stderr slipway plan --json app
    succeeded
    python3 -c '
import json, sys
stages = {s["name"]: s for s in json.loads(sys.argv[1])["stages"]}
assert [s["state"] for s in stages["tool"]["steps"]] == ["config", "cached"], stages
assert not stages["unused"]["needed"]
last = stages["2"]
assert last["target"] and last["sources"] == ["tool"]
assert last["steps"][0]["reason"] == "file src/two changed"' "$output"
}

@test "build --explain: says the same while building" {
    slipway build -q app
    echo changed >app/src/one
    run slipway build --explain app
    succeeded
    [[ $output == *"line 8 is not cached: file src/one changed"* ]]
    run slipway build --explain app
    [[ $output != *"is not cached"* ]]
}
