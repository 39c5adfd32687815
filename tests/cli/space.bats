#!/usr/bin/env bats
# What the store holds, and making room in it: du and prune.

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

bytes() { # what du says of KIND
    slipway du --json | jq --arg kind "$1" '.kinds[] | select(.kind == $kind).bytes'
}

# Everything in the store was last used so long ago.
age_store() { # DATE
    (cd "$SLIPWAY_HOME" && find . -mindepth 2 -not -path './tmp/*' -not -path './locks/*' -exec touch -h -d "$1" {} +)
}

@test "du: kinds, cache mounts by their ids, what images are made of" {
    context app <<'END'
FROM conformance/busybox:1
COPY file /
RUN --mount=type=cache,id=my-cache,target=/c head -c 100000 /dev/zero > /c/zeros
END
    echo content >app/file
    slipway build -t app:1 app
    run slipway du
    succeeded
    says "^$SLIPWAY_HOME\$"
    says '^blobs +[0-9]+ +[0-9.]+ [kM]B +[0-9.]+ [kM]B'
    says '^cache mounts +1 '
    says 'my-cache$'
    says '^total '
    slipway du --json >du.json
    equal "$(jq -r '.cacheMounts[0].name' du.json)" my-cache
    [ "$(jq '.cacheMounts[0].bytes' du.json)" -ge 100000 ]
    equal "$(jq '.bytes' du.json)" "$(jq '[.kinds[].bytes] | add' du.json)"
    slipway du --json --verbose >items.json
    equal "$(jq '[.items[].bytes] | add' items.json)" "$(jq '.bytes' items.json)"
    run slipway du --verbose
    succeeded
    says 'tags/.*app:1 \(in an image\)'
}

@test "du: looking does not make things young" {
    printf 'FROM scratch\nCOPY Dockerfile /\n' | context app
    slipway build -t app:1 app
    age_store '3 days ago'
    slipway du >/dev/null
    slipway images >/dev/null
    run slipway du -v
    says 'blobs .*3 days ago'
    slipway build -t app:1 app
    run slipway du -v
    says_not 'blobs .*3 days ago'
}

@test "prune: images with tags stay whole, what no image needs goes" {
    context app <<'END'
FROM conformance/busybox:1
RUN --mount=type=cache,id=kept,target=/c echo x > /c/x && echo one > /one
END
    slipway build -t app:1 app
    slipway save -o before.tar app:1
    context other <<'END'
FROM conformance/busybox:1
RUN head -c 3000000 /dev/urandom > /random
END
    slipway build -t other:1 other
    slipway rmi other:1
    run slipway prune --dry-run
    succeeded
    says '^Would remove'
    run slipway prune -v
    succeeded
    says '^unpacked layers'
    says '^Removed [3-9]'
    equal "$(bytes 'unpacked layers')" 0
    [ "$(bytes 'cache mounts')" -gt 0 ]
    slipway save -o after.tar app:1
    cmp before.tar after.tar
    run slipway build --progress=plain -t app:1 app
    succeeded
    says CACHED
    slipway prune --cache-mounts
    equal "$(bytes 'cache mounts')" 0
    slipway prune --all
    equal "$(slipway images -q)" ''
    equal "$(slipway du --json | jq '.kinds[] | select(.kind != "unfinished").count' | sort -u)" 0
    slipway build -t app:1 app
}

@test "prune: by age and by size" {
    local i
    for i in 1 2 3; do
        mkdir -p "app$i"
        head -c 1000000 /dev/urandom >"app$i/file"
        printf 'FROM scratch\nCOPY file /\n' >"app$i/Dockerfile"
        slipway build -t "app:$i" "app$i"
        slipway rmi "app:$i"
        age_store "$((10 - i)) days ago"
    done
    # The last touch made all equally old: 7 days.
    run slipway prune --older-than 8d
    says '^Removed 0 B'
    run slipway prune --filter until=240h
    says '^Removed 0 B'
    slipway build -t app:3 app3
    slipway rmi app:3
    run slipway prune --keep-storage 1500k
    succeeded
    [ "$(slipway du --json | jq .bytes)" -le 1536000 ]
    run slipway build --progress=plain -t app:3 app3
    says CACHED
    slipway rmi app:3
    age_store '2 days ago'
    slipway prune --older-than 36h --json >pruned.json
    [ "$(jq .freedBytes pruned.json)" -ge 1000000 ]
    equal "$(jq .othersRunning pruned.json)" 0
}

@test "prune: what a running build uses stays" {
    context app <<'END'
FROM conformance/busybox:1
RUN echo one > /one
RUN sleep 3; cat /one; echo two > /two
END
    context old <<'END'
FROM conformance/busybox:1
RUN echo old > /old
END
    slipway build -t old:1 old
    slipway rmi old:1
    age_store '1 day ago'
    slipway build -t app:1 app 2>log &
    local build=$!
    sleep 1.5
    run slipway prune --all
    succeeded
    says '1 other slipway at work'
    wait "$build"
    run slipway build --progress=plain -t app:2 app
    succeeded
    says CACHED
    slipway save -o app.tar app:1
}

@test "prune: killed, it leaves a sound store" {
    local i
    for i in 1 2 3 4; do
        mkdir -p app/d$i
        printf 'FROM conformance/busybox:1\nRUN mkdir /x && for i in $(seq 200); do echo $i > /x/%s-$i; done\n' "$i" | context app
        slipway build -t "app:$i" app
        slipway rmi "app:$i"
        slipway build -t "kept:$i" app
    done
    for i in 1 2 3 4 5 6; do
        slipway prune >/dev/null 2>&1 &
        sleep "0.00$i"
        kill -9 $! 2>/dev/null || true
        wait $! 2>/dev/null || true
        slipway save -o kept.tar "kept:$((i % 4 + 1))"
    done
    slipway build -t again:1 app
    slipway prune
    equal "$(find "$SLIPWAY_HOME/tmp" -mindepth 1 | wc -l)" 0
}

@test "prune: wrong values are sentences" {
    run slipway prune --keep-storage lots
    failed_with 2
    says "'lots' is no size as 10GB"
    run slipway prune --older-than soon
    failed_with 2
    says "'soon' is no duration as 7d"
    run slipway prune --filter label=x
    failed_with 2
    says 'only until=DURATION'
}

@test "prune: an ordinary user gets rid of what RUN left behind" {
    needs_root
    if ! as_nobody unshare --user true 2>/dev/null; then
        skip "this machine does not let users make user namespaces"
    fi
    prepare_nobody
    context app <<'END'
FROM conformance/busybox:1
RUN --mount=type=cache,target=/c mkdir -m 0 /c/closed && mkdir -p /a/b && echo x > /a/b/file && chmod 500 /a/b /a
END
    chown -R 31000:31000 app
    as_nobody "$SLIPWAY" build -t app:1 app
    run as_nobody "$SLIPWAY" du
    succeeded
    says '^unpacked layers +[1-9]'
    as_nobody "$SLIPWAY" prune --all
    run as_nobody "$SLIPWAY" du
    succeeded
    says '^total +0 '
}

@test "docker: system df, builder prune and the like" {
    ln -s "$SLIPWAY" docker
    printf 'FROM scratch\nCOPY Dockerfile /\n' | context app
    ./docker build -t app:1 app
    equal "$(./docker system df)" "$(slipway du)"
    equal "$(./docker buildx du)" "$(slipway du)"
    run ./docker builder prune --force --all --keep-storage 10GB
    succeeded
    says '^Removed 0 B'
    run ./docker system prune -af --filter until=24h
    says '^Removed 0 B'
    run ./docker system prune -af
    says '^Removed [1-9]'
}
