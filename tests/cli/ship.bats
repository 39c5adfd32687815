#!/usr/bin/env bats
# The main job: from a git URL to an image in a registry and imagedefinitions.json.

load helpers

setup_file() {
    start_registry
    push_bases
    start_git_server
}

teardown_file() {
    stop_git_server
    stop_registry
}

setup() {
    fresh_environment
}

image_uri() { # FILE NAME
    python3 -c '
import json, sys
print(next(d["imageUri"] for d in json.load(open(sys.argv[1])) if d["name"] == sys.argv[2]))' "$1" "$2"
}

@test "ship: clones, builds, pushes and writes imagedefinitions.json" {
    site_context app
    repository shipped app
    run slipway ship --container web -t "$REGISTRY/shipped:1" "$GIT_URL/shipped.git"
    succeeded
    equal "$(image_uri imagedefinitions.json web)" "$REGISTRY/shipped:1"
    unpack "$REGISTRY/shipped:1" image
    equal "$(cat image/rootfs/srv/site/index.html)" "<h1>hello</h1>"
}

@test "ship: --image-uri digest names the manifest that the registry holds" {
    site_context app
    run slipway ship --container web --image-uri digest -t "$REGISTRY/by-digest:1" app
    succeeded
    equal "$(image_uri imagedefinitions.json web)" "$REGISTRY/by-digest@$(manifest_digest "$REGISTRY/by-digest:1")"
}

@test "ship: several containers in one file" {
    site_context app
    run slipway ship --container web --container proxy=example.org/proxy:2 -t "$REGISTRY/several:1" app
    succeeded
    equal "$(image_uri imagedefinitions.json web)" "$REGISTRY/several:1"
    equal "$(image_uri imagedefinitions.json proxy)" "example.org/proxy:2"
}

@test "ship: the environment names the container" {
    site_context app
    CONTAINER_NAME=from-environment run slipway ship -t "$REGISTRY/environment:1" app
    succeeded
    equal "$(image_uri imagedefinitions.json from-environment)" "$REGISTRY/environment:1"
}

@test "ship: without a container's name it says how to give one, before it builds" {
    site_context app
    mark_requests
    run slipway ship -t "$REGISTRY/nameless:1" app
    failed_with 2
    says 'container'
    equal "$(requests '/v2/nameless')" 0
    [ ! -e imagedefinitions.json ]
}

@test "ship: a registry that refuses the manifest leaves imagedefinitions.json as it was" {
    site_context app
    echo before >imagedefinitions.json
    local state=$BATS_TEST_TMPDIR/read-only port
    port=$("$fixtures/registry" start "$state" --read-only)
    SLIPWAY_REGISTRY_MAP=docker.io=$REGISTRY run slipway ship --container web -t "127.0.0.1:$port/refused:1" app
    "$fixtures/registry" stop "$state"
    failed_with 4
    equal "$(cat imagedefinitions.json)" before
}

@test "ship: the second time runs nothing and moves no blob" {
    context app <<'END'
FROM conformance/busybox:1
RUN echo made > /made
COPY file /
END
    needs_root
    echo a >app/file
    repository again app
    slipway ship --container web -t "$REGISTRY/again:1" "$GIT_URL/again.git"
    mark_requests
    run slipway ship --progress=plain --container web -t "$REGISTRY/again:1" "$GIT_URL/again.git"
    succeeded
    says '[Cc]ached|CACHED'
    equal "$(requests '"(PUT|PATCH|POST) /v2/again/blobs')" 0
    equal "$(requests '"GET /v2/[a-z/]+/blobs')" 0
}

@test "ship: after a commit only what changed is sent" {
    context app <<'END'
FROM conformance/busybox:1
COPY first /first
COPY second /second
END
    echo 1 >app/first
    echo 2 >app/second
    repository edited app
    slipway ship --container web -t "$REGISTRY/edited:1" "$GIT_URL/edited.git"
    echo 3 >app/second
    commit app second
    git -C app push --quiet "$BATS_FILE_TMPDIR/repositories/edited.git" HEAD:main
    mark_requests
    slipway ship --container web -t "$REGISTRY/edited:2" "$GIT_URL/edited.git"
    # The layer of the second COPY, and the config.
    equal "$(requests '"PUT /v2/edited/blobs/uploads/')" 2
}

@test "git: branch, tag, commit and subfolder behind #" {
    mkdir app
    site_context app/sub
    git -C app init --quiet
    git -C app add --all
    commit app one
    git -C app tag v1
    echo branch >app/sub/site/index.html
    git -C app checkout --quiet -b other
    commit app two
    git init --quiet --bare "$BATS_FILE_TMPDIR/repositories/refs.git"
    git -C app push --quiet --tags "$BATS_FILE_TMPDIR/repositories/refs.git" main other
    local ref
    for ref in v1 main "$(git -C app rev-parse main)"; do
        slipway build -o "type=local,dest=$ref" "$GIT_URL/refs.git#$ref:sub"
        equal "$(cat "$ref/srv/site/index.html")" "<h1>hello</h1>"
    done
    slipway build -o type=local,dest=other "$GIT_URL/refs.git#other:sub"
    equal "$(cat other/srv/site/index.html)" branch
    run slipway build "$GIT_URL/refs.git#nowhere:sub"
    failed_with 2
    says nowhere
}

@test "git: a clean work tree gives the same digest as its commit, over HTTP and by path" {
    site_context app
    ln -s index.html app/site/link
    repository equal app
    slipway build -t "$REGISTRY/equal:folder" --push app
    slipway build -t "$REGISTRY/equal:http" --push "$GIT_URL/equal.git"
    slipway build -t "$REGISTRY/equal:file" --push "file://$BATS_FILE_TMPDIR/repositories/equal.git"
    equal "$(manifest_digest "$REGISTRY/equal:folder")" "$(manifest_digest "$REGISTRY/equal:http")"
    equal "$(manifest_digest "$REGISTRY/equal:folder")" "$(manifest_digest "$REGISTRY/equal:file")"
}

@test "git: submodules are part of the context" {
    mkdir inner
    echo inner >inner/file
    repository inner inner
    context outer <<'END'
FROM scratch
COPY . /
END
    git -C outer init --quiet
    git -C outer -c protocol.allow=always submodule --quiet add "$GIT_URL/inner.git" part
    repository outer outer
    slipway build -o type=local,dest=out "$GIT_URL/outer.git"
    equal "$(cat out/part/file)" inner
}

@test "git: a password from the URL is used and never shown" {
    site_context app
    local state=$BATS_TEST_TMPDIR/closed port
    mkdir "$BATS_TEST_TMPDIR/closed-repositories"
    repository open app
    cp -r "$BATS_FILE_TMPDIR/repositories/open.git" "$BATS_TEST_TMPDIR/closed-repositories/"
    port=$("$fixtures/git-server" start "$state" "$BATS_TEST_TMPDIR/closed-repositories" --user jo:hush-hush)
    run slipway build -o type=local,dest=none "http://127.0.0.1:$port/open.git"
    local without=$status
    run slipway build --progress=plain -o type=local,dest=out "http://jo:hush-hush@127.0.0.1:$port/open.git"
    "$fixtures/git-server" stop "$state"
    equal "$without" 3
    succeeded
    says_not 'hush-hush'
    run grep -rl hush-hush "$SLIPWAY_HOME"
    failed_with 1
    [ -e out/start.sh ]
}

@test "git: a repository that is not there is an error on one line" {
    run slipway build "$GIT_URL/missing.git"
    [ "$status" -ne 0 ]
    says '^slipway: .*missing\.git'
}

@test "docker: through a link of that name the same commands work" {
    site_context app
    ln -s "$SLIPWAY" docker
    ./docker build -t "$REGISTRY/docker:1" app
    ./docker push "$REGISTRY/docker:1"
    manifest "$REGISTRY/docker:1" >/dev/null
}

@test "offline: with everything in the store nothing is asked of anybody" {
    site_context app
    slipway build -t offline:1 app
    mark_requests
    run slipway build --offline -t offline:2 app
    succeeded
    equal "$(requests .)" 0
    printf 'FROM conformance/links:1\nCOPY start.sh /\n' >app/Dockerfile
    run slipway build --offline app
    [ "$status" -ne 0 ]
    says 'conformance/links'
    says '[Oo]ffline'
}

@test "a full disk: exit code 5 whoever wrote, nothing left, and the store works once there is room" {
    needs_root
    [ "${SLIPWAY_PRIVATE_MACHINE:-}" = 1 ] || skip "mounts only below fixtures/private-machine"
    local size dockerfile
    mkdir full work
    head -c 3000000 /dev/urandom >work/big
    printf 'FROM conformance/busybox:1\nCOPY big /big\nRUN cp /big /other\n' >work/Dockerfile
    repository full work
    export SLIPWAY_HOME=$PWD/full/store
    for size in 1m 2m 5m 8m; do
        mount -t tmpfs -o "size=$size" full full
        # First the fetch, then the layer, the base and its files have no room.
        run slipway build -q "$GIT_URL/full.git"
        failed_with 5
        says 'No space left on device'
        equal "$(find full/store/tmp -mindepth 1)" ""
        mount -o remount,size=100m full
        run slipway build -q "$GIT_URL/full.git"
        succeeded
        umount full
    done
}

@test "a full disk behind the next command's back: exit code 5, and the line whose layer has no room" {
    needs_root
    [ "${SLIPWAY_PRIVATE_MACHINE:-}" = 1 ] || skip "mounts only below fixtures/private-machine"
    mkdir full
    context app <<'END'
FROM conformance/busybox:1
RUN head -c 20000000 /dev/urandom > /big
RUN sleep 0.5
END
    export SLIPWAY_HOME=$PWD/full/store
    mount -t tmpfs -o size=34m full full
    run slipway build -q app
    failed_with 5
    says 'Dockerfile:2:1: .*No space left on device'
    equal "$(find full/store/tmp -mindepth 1)" ""
    mount -o remount,size=100m full
    run slipway build -q app
    succeeded
    umount full
}

@test "offline: all that a build lacks is listed at once, and no socket is opened" {
    site_context app
    slipway build -t offline:1 app
    cat >app/Dockerfile <<'END'
FROM conformance/links:1 AS links
FROM conformance/busybox:1
COPY --from=links / /l
COPY --from=other.example.org/tools:2 /bin/tool /bin/
ADD https://user:secret@files.example.org/a.tar.gz?token=t /a/
ADD https://git.example.org/shop.git#main /shop
RUN --mount=type=bind,from=third.example.org/x:1,target=/x true
END
    run slipway build --offline app
    failed_with 4
    says 'offline: this build needs 5 things that are not in the store: conformance/links:1 .line 1., other.example.org/tools:2 .line 4., https://files.example.org/a.tar.gz.* .line 5., https://git.example.org/shop.git.* .line 6., third.example.org/x:1 .line 7.$'
    says '^slipway: app/Dockerfile:1:6: '
    says_not 'secret|token=t'
    command -v strace >/dev/null || skip "needs strace"
    run strace -f -e trace=socket,connect -o trace "$SLIPWAY" build --offline app
    failed_with 4
    printf 'FROM conformance/busybox:1\nCOPY site /s\n' >app/Dockerfile
    run strace -f -e trace=socket,connect -o trace2 "$SLIPWAY" build --offline -o type=local,dest=out app
    ! grep -E 'AF_INET|connect\(' trace trace2
}
