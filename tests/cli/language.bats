#!/usr/bin/env bats
# Corners of the language that the conformance suite lacks: several platforms, ADD from git, cache mounts, secrets that get into
# a layer, named contexts.

bats_require_minimum_version 1.5.0
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

@test "platforms: several make an index with an image for each, and ARGs tell them apart" {
    context app <<'END'
FROM conformance/multiarch:1
ARG TARGETARCH
COPY $TARGETARCH.txt /mine.txt
ENV ARCH=$TARGETARCH
END
    echo a >app/amd64.txt
    echo b >app/arm64.txt
    run slipway build --platform linux/amd64,linux/arm64 -t "$REGISTRY/multi:1" --push app
    succeeded
    manifest "$REGISTRY/multi:1" | python3 -c '
import json, sys
index = json.load(sys.stdin)
assert index["mediaType"] == "application/vnd.oci.image.index.v1+json", index
assert [m["platform"]["architecture"] for m in index["manifests"]] == ["amd64", "arm64"], index'
    skopeo inspect --override-arch arm64 --config --tls-verify=false "docker://$REGISTRY/multi:1" | grep -q ARCH=arm64
    skopeo copy --quiet --insecure-policy --override-arch arm64 --src-tls-verify=false "docker://$REGISTRY/multi:1" oci:arm:i
    umoci unpack --image arm:i arm-root >/dev/null
    equal "$(cat arm-root/rootfs/mine.txt)" b
}

@test "platforms: a base for another machine than asked for is a finding, in check and in builds" {
    context made <<'END'
FROM scratch
COPY Dockerfile /
END
    slipway build -q --platform linux/s390x -t "$REGISTRY/foreign:1" --push made
    context app <<END
FROM $REGISTRY/foreign:1
COPY Dockerfile /two
END
    SLIPWAY_HOME=$PWD/another run slipway check --platform linux/amd64 app
    failed_with 1
    says "^app/Dockerfile:1:6: InvalidBaseImagePlatform: Base image $REGISTRY/foreign:1 was pulled with platform \"linux/s390x\", expected \"linux/amd64\" for current build\$"
    SLIPWAY_HOME=$PWD/another run slipway build --platform linux/amd64 app
    succeeded
    says 'Dockerfile:1.*InvalidBaseImagePlatform: Base image'
    run slipway check --platform linux/s390x app
    succeeded
}

@test "platforms: a RUN for a machine that this one is not ends before anything is built" {
    [ ! -e /proc/sys/fs/binfmt_misc/qemu-s390x ] || skip "this machine runs s390x"
    context app <<'END'
FROM scratch
COPY Dockerfile /
RUN true
END
    run slipway build --platform linux/s390x app
    failed_with 7
    says 'Dockerfile:3:.*RUN for linux/s390x.*binfmt_misc'
    says_not COPY
}

@test "ADD: a git repository at a branch, without its history" {
    mkdir source
    echo hello >source/file
    repository added source
    context app <<END
FROM scratch
ADD $GIT_URL/added.git#main /src
END
    run slipway build -t "$REGISTRY/addgit:1" --push app
    succeeded
    unpack "$REGISTRY/addgit:1" image
    equal "$(cat image/rootfs/src/file)" hello
    [ ! -e image/rootfs/src/.git ]
}

@test "secrets: one that is written into a layer ends the build and is not shown" {
    needs_root
    echo "a-long-and-secret-value-xq7Zk2VwPe" >secret
    context app <<'END'
FROM conformance/busybox:1
RUN --mount=type=secret,id=key cp /run/secrets/key /kept
END
    run slipway build --secret id=key,src=secret app
    failed_with 1
    says "the secret 'key' would be in the layer, in /kept"
    says_not xq7Zk2VwPe
    run grep -rl xq7Zk2VwPe "$SLIPWAY_HOME"
    failed_with 1
    sed -i 's/^RUN.*/RUN --mount=type=secret,id=key wc -c < \/run\/secrets\/key > \/size/' app/Dockerfile
    run slipway build -t "$REGISTRY/secret:1" --push --secret id=key,src=secret app
    succeeded
    unpack "$REGISTRY/secret:1" image
    equal "$(cat image/rootfs/size)" 35
}

@test "cache mounts: what one RUN leaves the next finds, and no layer holds it" {
    needs_root
    context app <<'END'
FROM conformance/busybox:1
ARG N
RUN --mount=type=cache,target=/c,id=words echo "$N" >> /c/log; cp /c/log /seen
END
    slipway build -q --build-arg N=1 app
    slipway build -q --build-arg N=2 -t "$REGISTRY/cached:1" --push app
    unpack "$REGISTRY/cached:1" image
    equal "$(cat image/rootfs/seen)" "1
2"
    [ ! -e image/rootfs/c/log ]
}

@test "cache mounts: a locked one is never used by two at once" {
    needs_root
    context app <<'END'
FROM conformance/busybox:1
ARG N
RUN --mount=type=cache,target=/c,id=one,sharing=locked test ! -e /c/busy && touch /c/busy && sleep 1 && rm /c/busy && echo $N > /n
END
    slipway build -q --build-arg N=1 app &
    local first=$!
    run slipway build --build-arg N=2 app
    wait "$first"
    succeeded
}

@test "contexts: a named one may be a folder, an image, a layout, and hide a base" {
    mkdir -p other
    echo from-folder >other/file
    context app <<'END'
FROM base
COPY --from=files file /file
COPY --from=img /arch.txt /arch
END
    slipway build -q -o type=oci,dest=layout,tar=false -t kept:1 - <<<'FROM scratch
LABEL kept=yes'
    run slipway build -t "$REGISTRY/named:1" --push --build-context files=other --build-context img=docker-image://conformance/multiarch:1 \
        --build-context base=oci-layout://layout app
    succeeded
    image_config "$REGISTRY/named:1" | grep -q '"kept":"yes"'
    unpack "$REGISTRY/named:1" image
    equal "$(cat image/rootfs/file)" from-folder
    equal "$(cat image/rootfs/arch)" amd64
}
