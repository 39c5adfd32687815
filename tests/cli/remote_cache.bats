#!/usr/bin/env bats
# Results of steps in a registry: what a second machine (a second store) sends and fetches, writers side by side, and everything
# that can be wrong with such a cache, none of which may fail a build.
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
    export CACHE=$REGISTRY/cache-$BATS_TEST_NUMBER IMAGE=$REGISTRY/image-$BATS_TEST_NUMBER
    context app <<'END'
FROM conformance/busybox:1 AS tool
WORKDIR /src
COPY noise .
FROM conformance/busybox:1
WORKDIR /srv
COPY --from=tool /src/noise tool
COPY own /srv/own
END
    head -c 300000 /dev/urandom >app/noise
    head -c 200000 /dev/urandom >app/own
}

# A build on machine N, that is with a store of its own.
machine() { # N [OPTION...]
    local store=$BATS_TEST_TMPDIR/store$1
    shift
    SLIPWAY_HOME=$store slipway build --progress=plain "$@" app
}

cached() { # MACHINE [OPTION...]: with the cache both ways
    machine "$1" --cache-from "$CACHE" --cache-to "$CACHE" "${@:2}"
}

tags() {
    curl -sS --noproxy '*' "http://$REGISTRY/v2/${CACHE#*/}/tags/list" | python3 -c 'import json, sys; print("\n".join(json.load(sys.stdin).get("tags") or []))'
}

# The digest of the layer of each entry that has one of at least BYTES.
entry_layers() { # BYTES
    local tag
    for tag in $(tags); do
        manifest "$CACHE:$tag" | python3 -c 'import json, sys
for layer in json.load(sys.stdin)["layers"]:
    if layer["size"] >= int(sys.argv[1]):
        print(layer["digest"])' "$1"
    done | sort -u
}

# The tag of the entry of a step, by the beginning of its line of history.
tag_of() { # TEXT
    local tag
    for tag in $(tags); do
        if manifest "$CACHE:$tag" | grep -q "created-by\":\"$1"; then
            echo "$tag"
            return
        fi
    done
}

blob_file() { # DIGEST
    local hex=${1#sha256:}
    echo "$BATS_FILE_TMPDIR/registry/storage/docker/registry/v2/blobs/sha256/${hex:0:2}/$hex/data"
}

@test "remote cache: a second machine with a warm cache sends and fetches no layer" {
    cached 1 -t "$IMAGE:1" --push
    mark_requests
    cached 2 -t "$IMAGE:1" --push >out 2>&1
    [ "$(grep -c 'CACHED' out)" -eq 5 ]
    # All it fetched: manifests, and the base's config.
    equal "$(requests '"GET /v2/[^ ]*/blobs/')" 1
    equal "$(requests '"(POST|PUT|PATCH) ')" 0
}

@test "remote cache: under another name only the manifest is sent" {
    cached 1 -t "$IMAGE:1" --push
    mark_requests
    cached 2 -t "$IMAGE:2" --push >out 2>&1
    equal "$(requests '"GET /v2/[^ ]*/blobs/')" 1
    equal "$(requests '"(POST|PATCH) ')" 0
    equal "$(requests '"PUT ')" 1
    mark_requests
    machine 3 --cache-from "$CACHE" -t "$IMAGE-other:1" --push
    # The layers are mounted; what is sent is the config.
    equal "$(requests '"POST [^ ]*mount=')" 3
    equal "$(requests '"POST ')" 4
    equal "$(requests '"GET /v2/[^ ]*/blobs/')" 1
    equal "$(manifest_digest "$IMAGE:1")" "$(manifest_digest "$IMAGE-other:1")"
}

@test "remote cache: layers are sent once, whoever is first" {
    cached 1 -t "$IMAGE:1" --push
    local sent layer
    for layer in $(entry_layers 100000); do
        # One session took the bytes; the others were mounts.
        sent=$(grep -c "\"PUT [^ ]*digest=${layer/:/%3A}\|\"PUT [^ ]*digest=$layer" "$REGISTRY_LOG" || true)
        equal "$sent" 1
    done
    [ "$(entry_layers 100000 | wc -l)" -eq 3 ]
}

@test "remote cache: entries are ordinary images" {
    cached 1
    local tag count=0
    for tag in $(tags); do
        [[ $tag =~ ^step-[0-9a-f]{64}$ ]]
        skopeo inspect --tls-verify=false "docker://$CACHE:$tag" >inspected
        manifest "$CACHE:$tag" | grep -q "\"dev.slipway.step.key\":\"sha256:${tag#step-}\""
        count=$((count + 1))
    done
    # Five steps; COPY --from has two keys.
    equal "$count" 6
    skopeo copy --quiet --insecure-policy --src-tls-verify=false "docker://$CACHE:$tag" oci:copied:image
}

@test "remote cache: its layers serve COPY --from, RUN's lower layers and outputs" {
    needs_root
    cached 1
    cat >>app/Dockerfile <<'END'
COPY --from=tool /src/ /all/
RUN cmp /srv/tool /all/noise && cmp /srv/tool /srv/own || echo differ >/srv/result
END
    machine 2 --cache-from "$CACHE" -o type=local,dest=out >log 2>&1
    [ "$(grep -c CACHED log)" -eq 5 ]
    cmp app/noise out/srv/tool
    cmp app/own out/srv/own
    cmp app/noise out/all/noise
    equal "$(cat out/srv/result)" differ
    machine 3 --cache-from "$CACHE" --target tool -o type=oci,dest=tool.tar
    tar -tf tool.tar >/dev/null
}

@test "remote cache: what RUN mounts from a stage is not fetched to learn that it is the same" {
    needs_root
    echo 'RUN --mount=from=tool,source=/src,target=/m cp /m/noise /copied' >>app/Dockerfile
    cached 1 -t "$IMAGE:1" --push
    mark_requests
    cached 2 -t "$IMAGE:1" --push >out 2>&1
    [ "$(grep -c CACHED out)" -eq 6 ]
    equal "$(requests '"GET /v2/[^ ]*/blobs/')" 1
    # The key by files holds where the layers are others.
    sed -i 's|^COPY noise .|COPY noise other ./|; s|source=/src,target=/m|source=/src/noise,target=/m/noise|' app/Dockerfile
    echo other >app/other
    cached 2 >out 2>&1
    echo another >app/other
    cached 2 >out 2>&1
    [ "$(grep -c CACHED out)" -eq 5 ]
}

@test "remote cache: a step that changes nothing is kept too" {
    needs_root
    printf 'FROM conformance/busybox:1\nRUN true\n' >app/Dockerfile
    cached 1 -t "$IMAGE:1" --push
    cached 2 -t "$IMAGE:2" --push >out 2>&1
    grep -q 'CACHED' out
    equal "$(manifest_digest "$IMAGE:1")" "$(manifest_digest "$IMAGE:2")"
}

@test "remote cache: ten writers at once" {
    needs_root
    printf 'FROM conformance/busybox:1\nCOPY own /own\nRUN head -c 100000 /dev/urandom >/noise\nCOPY noise /n\n' >app/Dockerfile
    local i pids=()
    for i in 1 2 3 4 5 6 7 8 9 10; do
        cached "$i" -t "$IMAGE:$i" --push >"log$i" 2>&1 &
        pids+=($!)
    done
    for i in "${!pids[@]}"; do
        wait "${pids[i]}"
    done
    ! grep -i 'warning' log*
    # Whatever the race came to: what stands there now is whole, stays, and serves.
    tags >all
    for i in $(cat all); do
        skopeo copy --quiet --insecure-policy --src-tls-verify=false "docker://$CACHE:$i" "oci:layout:$i"
        manifest "$CACHE:$i"
    done >before
    mark_requests
    cached 11 -t "$IMAGE:11" --push >out 2>&1
    [ "$(grep -c CACHED out)" -eq 3 ]
    equal "$(requests "\"PUT /v2/${CACHE#*/}/")" 0
    # What RUN makes here is something else; what stands in the cache stays.
    machine 12 --no-cache --cache-to "$CACHE"
    for i in $(cat all); do
        manifest "$CACHE:$i"
    done >after
    cmp before after
}

@test "remote cache: a large layer that is written behind the next command is mounted, not sent twice" {
    local sent
    context big <<'END'
FROM conformance/busybox:1
RUN seq 1 2000000 > /numbers
RUN echo small > /small
END
    slipway build --progress=plain --cache-to "$REGISTRY/big-cache" -t "$REGISTRY/big:1" --push big >log 2>&1
    sent=$(sed -nE 's/.*cache .* entries written, .* ([0-9]+)[.][0-9] kB sent$/\1/p' log)
    [ "$sent" -lt 100 ]
    equal "$(manifest "$REGISTRY/big:1" | jq '.layers[1].size > 4000000')" true
}

@test "remote cache: what cannot be reached costs a warning" {
    local begin
    machine 1 --cache-from 127.0.0.1:1/cache --cache-to 127.0.0.1:1/cache -t "$IMAGE:1" --push >out 2>&1
    equal "$(grep -c 'the cache 127.0.0.1:1/cache is not used' out)" 1
    # A server that takes connections and never answers.
    python3 - 3>&- <<'END' &
import socket, time
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(50)
open("port", "w").write(str(s.getsockname()[1]))
time.sleep(60)
END
    local server=$!
    until [ -s port ]; do sleep 0.1; done
    begin=$(date +%s)
    machine 2 --cache-from "127.0.0.1:$(cat port)/cache" --cache-to "127.0.0.1:$(cat port)/cache" >out 2>&1
    kill "$server"
    [ $(($(date +%s) - begin)) -le 6 ]
    equal "$(grep -c 'is not used: no answer within 2 seconds' out)" 1
    grep -q 'DONE' out
}

@test "remote cache: a read-only registry is read, and not written to" {
    local port
    port=$("$fixtures/registry" start "$BATS_TEST_TMPDIR/readonly" --read-only)
    run machine 1 --cache-from "127.0.0.1:$port/cache" --cache-to "127.0.0.1:$port/cache" -t "$IMAGE:1" --push
    "$fixtures/registry" stop "$BATS_TEST_TMPDIR/readonly"
    [ "$status" -eq 0 ]
    equal "$(grep -c "the cache 127.0.0.1:$port/cache is not written to" <<<"$output")" 1
    manifest "$IMAGE:1" >/dev/null
}

@test "remote cache: a registry that does not know us is left alone" {
    local port
    port=$("$fixtures/registry" start "$BATS_TEST_TMPDIR/private" --user tester:secret)
    run machine 1 --cache-from "127.0.0.1:$port/cache" --cache-to "127.0.0.1:$port/cache"
    [ "$status" -eq 0 ]
    equal "$(grep -c "the cache 127.0.0.1:$port/cache is not used: .*slipway login" <<<"$output")" 1
    slipway login -u tester --password-stdin "127.0.0.1:$port" <<<secret
    machine 1 --cache-to "127.0.0.1:$port/cache"
    run machine 2 --cache-from "127.0.0.1:$port/cache"
    "$fixtures/registry" stop "$BATS_TEST_TMPDIR/private"
    [ "$(grep -c CACHED <<<"$output")" -eq 5 ]
}

@test "remote cache: an entry that is something else is passed over and put right" {
    cached 1 -t "$IMAGE:1" --push
    local first second
    first=$(tag_of 'WORKDIR /src')
    second=$(tag_of 'COPY own ')
    # The image of another step, and an image that is no step's.
    skopeo copy --quiet --insecure-policy --src-tls-verify=false --dest-tls-verify=false --preserve-digests \
        "docker://$CACHE:$first" "docker://$CACHE:$second"
    skopeo copy --quiet --insecure-policy --src-tls-verify=false --dest-tls-verify=false "docker://$IMAGE:1" "docker://$CACHE:$first"
    cached 2 -t "$IMAGE:2" --push >out 2>&1
    grep -q "the entry $first is passed over: it is no step's result" out
    grep -q "the entry $second is passed over: it stands for sha256:${first#step-}" out
    equal "$(manifest_digest "$IMAGE:1")" "$(manifest_digest "$IMAGE:2")"
    cached 3 >out 2>&1
    ! grep 'passed over' out
    [ "$(grep -c CACHED out)" -eq 5 ]
}

@test "remote cache: a layer that is damaged or gone is noticed when it is needed, and made here" {
    cached 1
    local layer file
    for layer in $(entry_layers 150000); do
        file=$(blob_file "$layer")
        cp "$file" "keep-${layer#sha256:}"
        python3 -c 'import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(5000)
    f.write(b"damaged")' "$file"
    done
    machine 2 --cache-from "$CACHE" -o type=local,dest=out >log 2>&1
    grep -q 'the layer of the entry step-[0-9a-f]* cannot be had as it should be' log
    cmp app/noise out/srv/tool
    cmp app/own out/srv/own
    # The Dockerfile comes by stdin, which cannot be read twice.
    machine 3 --cache-from "$CACHE" -o type=local,dest=out3 -f - <app/Dockerfile >log 2>&1
    grep -q 'is passed over' log
    ! grep 'cannot be had' log
    cmp app/own out3/srv/own
    for layer in $(entry_layers 150000); do
        rm "$(blob_file "$layer")"
    done
    machine 4 --cache-from "$CACHE" -t "$IMAGE:1" --push >log 2>&1
    grep -q 'cannot be had as it should be' log
    layer_blob "$IMAGE:1" | tar -xzO srv/own | cmp - app/own
}

@test "remote cache: a build that fails keeps what it made" {
    echo 'COPY missing /' >>app/Dockerfile
    run cached 1
    [ "$status" -ne 0 ]
    sed -i '$d' app/Dockerfile
    cached 2 >out 2>&1
    [ "$(grep -c CACHED out)" -eq 5 ]
}

@test "remote cache: docker's form, a tag as prefix, kaniko's names, --offline" {
    machine 1 --cache-to "type=registry,ref=$CACHE:main,mode=max"
    tags | grep -q '^main-[0-9a-f]'
    ! tags | grep -q '^step-'
    machine 2 --cache-from "type=registry,ref=$CACHE:main" >out 2>&1
    [ "$(grep -c CACHED out)" -eq 5 ]
    machine 3 --cache=true --cache-repo "$CACHE" >out 2>&1
    [ "$(tags | grep -c '^step-')" -eq 6 ]
    machine 4 --cache --destination "$IMAGE:1" >out 2>&1
    CACHE=$IMAGE/cache
    [ "$(tags | grep -c '^step-')" -eq 6 ]
    machine 4 --offline --cache-from "$CACHE" >out 2>&1
    equal "$(grep -c 'opens no connection' out)" 1
}
