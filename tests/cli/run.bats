#!/usr/bin/env bats
# RUN as root: what the step sees, what it cannot reach, and what it leaves behind.

load helpers

setup_file() {
    start_registry
    push_bases
}

teardown_file() {
    stop_registry
}

setup() {
    needs_root
    fresh_environment
}

# Builds a Dockerfile on the busybox base whose remaining lines come from stdin.
build_run() { # [OPTION...]
    mkdir -p app
    { echo 'FROM conformance/busybox:1' && cat; } >app/Dockerfile
    run slipway build --progress=plain "$@" app
}

@test "RUN: its files are in the layer, its deletions too" {
    build_run -t "$REGISTRY/files:1" --push <<'END'
RUN mkdir /new && echo text > /new/file && chmod 600 /new/file && rm /etc/shadow && ln -s file /new/link
END
    succeeded
    unpack "$REGISTRY/files:1" image
    equal "$(cat image/rootfs/new/link)" text
    equal "$(stat -c '%a %u' image/rootfs/new/file)" "600 0"
    [ ! -e image/rootfs/etc/shadow ]
    run layer_listing "$REGISTRY/files:1"
    says 'etc/.wh.shadow$'
}

@test "RUN: resolv.conf and hosts are there, leave no trace, and the machine's own stay as they are" {
    local before
    before=$(cat /etc/resolv.conf /etc/hosts | sha256sum)
    build_run -t "$REGISTRY/resolv:1" --push <<'END'
RUN test -e /etc/resolv.conf && test -e /etc/hosts && grep -q localhost /etc/hosts && echo ok > /proof
RUN echo 10.0.0.1 spoiled >> /etc/hosts; echo nameserver 10.0.0.1 >> /etc/resolv.conf; echo done > /done
END
    succeeded
    equal "$(cat /etc/resolv.conf /etc/hosts | sha256sum)" "$before"
    local n
    for n in 1 2; do
        layer_listing "$REGISTRY/resolv:1" "$n" >listing
        run grep -E 'resolv.conf|etc/hosts|dev/|proc/|sys/' listing
        failed_with 1
    done
}

@test "RUN: Docker's capabilities and no more, a seccomp filter, no new mounts" {
    build_run --no-cache <<'END'
RUN grep -q '^CapEff:.*00000000a80425fb$' /proc/self/status || { grep Cap /proc/self/status; exit 1; }
RUN grep -q '^Seccomp:.*2$' /proc/self/status
RUN ! mount -t tmpfs none /tmp
RUN ! mknod /dev/sda b 8 0 || ! dd if=/dev/sda of=/dev/null count=1
RUN ! echo 1 > /proc/sys/kernel/printk
END
    succeeded
}

@test "RUN: the usual device nodes, and none of the machine's" {
    build_run <<'END'
RUN for n in null zero full random urandom tty; do test -c /dev/$n || exit 1; done; echo x > /dev/null; test -d /dev/shm
RUN test ! -e /dev/kmsg && test ! -e /dev/sda && test ! -e /dev/vda && test -L /dev/stdin
END
    succeeded
}

@test "RUN: it is the first process of a pid namespace of its own, with a host name of its own" {
    build_run <<'END'
RUN test $$ -lt 10 && test "$(ls -d /proc/[0-9]* | wc -l)" -lt 6
RUN hostname
END
    succeeded
}

@test "RUN: --network=none sees no interface but loopback" {
    build_run --network=none <<'END'
RUN test "$(grep -c : /proc/net/dev)" -le 1
END
    succeeded
}

@test "RUN: what is left running in the background is ended" {
    build_run <<'END'
RUN sleep 987654 & sleep 0.2; echo started
END
    succeeded
    run pgrep -f 'sleep 987654'
    failed_with 1
}

@test "RUN: a failing one ends with its status, its last lines and the line of the Dockerfile" {
    build_run <<'END'
ENV A=b
RUN echo to-stdout; echo to-stderr >&2; \
    exit 37
END
    failed_with 1
    says 'Dockerfile:3'
    says '37'
    says 'to-stdout'
    says 'to-stderr'
    run slipway images
    says_not 'app'
}

@test "RUN: one killed by a signal says which" {
    build_run <<'END'
RUN kill -TERM $$; sleep 5
END
    failed_with 1
    says 'signal|143|TERM'
}

@test "RUN: USER, WORKDIR, ENV, ARG and SHELL apply" {
    build_run --build-arg WORD=given -t "$REGISTRY/applied:1" --push <<'END'
ARG WORD=default
ENV SEEN=yes
WORKDIR /srv/made
USER app
RUN test "$(id -un)" = app && test "$PWD" = /srv/made && test "$SEEN$WORD" = yesgiven && test "$HOME" = /home/app
USER 0
SHELL ["/bin/sh", "-eu", "-c"]
RUN false || true; touch file
END
    succeeded
    layer_listing "$REGISTRY/applied:1" >listing
    grep -q srv/made/file listing
}

@test "RUN: cached by its inputs: nothing runs again, a changed argument runs" {
    context app <<'END'
FROM conformance/busybox:1
ARG WORD=one
RUN echo "$WORD" > /word
COPY file /file
RUN cat /file > /copy
END
    echo a >app/file
    slipway build -t "$REGISTRY/cached:1" --push app
    run slipway build --progress=plain -t "$REGISTRY/cached:2" --push app
    succeeded
    equal "$(manifest_digest "$REGISTRY/cached:1")" "$(manifest_digest "$REGISTRY/cached:2")"
    run slipway build --offline --build-arg WORD=two -o type=local,dest=out app
    succeeded
    equal "$(cat out/word)" two
    echo b >app/file
    slipway build -o type=local,dest=out2 app
    equal "$(cat out2/copy) $(cat out2/word)" "b one"
}

@test "RUN: the same steps without a cache give the same manifest" {
    context app <<'END'
FROM conformance/busybox:1
RUN mkdir -p /a/b && date > /dev/null && echo content > /a/b/c && touch /a/empty
RUN cp -a /bin /bin2 && rm -rf /var/log
END
    slipway build -t "$REGISTRY/repeat:1" --push app
    sleep 1.1
    SLIPWAY_HOME=$BATS_TEST_TMPDIR/other TZ=Asia/Tokyo slipway build --no-cache -t "$REGISTRY/repeat:2" --push app
    equal "$(manifest_digest "$REGISTRY/repeat:1")" "$(manifest_digest "$REGISTRY/repeat:2")"
}

# Its files are 15 MB: large enough to be written while the next command runs.
large_steps() { # FOLDER [INSTRUCTION...]
    local folder=$1
    shift
    { printf 'FROM conformance/busybox:1\nRUN seq 1 2000000 > /numbers && ln /numbers /linked\n' && printf '%s\n' "$@"; } | context "$folder"
}

@test "RUN: a large layer that is written while the next command runs is the one that is written at once" {
    large_steps alone
    large_steps followed 'RUN head -n 1 /numbers > /first' 'RUN seq 1 1500000 > /more' 'RUN echo last > /last'
    slipway build -t "$REGISTRY/alone:1" --push alone
    export SLIPWAY_HOME=$BATS_TEST_TMPDIR/other
    run slipway build --progress=plain -t "$REGISTRY/followed:1" --push followed
    succeeded
    says '#1 DONE .*layer of'
    equal "$(manifest "$REGISTRY/followed:1" | jq -r '.layers[1].digest')" "$(manifest "$REGISTRY/alone:1" | jq -r '.layers[1].digest')"
    equal "$(manifest "$REGISTRY/followed:1" | jq '.layers | length')" 5
    unpack "$REGISTRY/followed:1" image
    equal "$(cat image/rootfs/first image/rootfs/last)" "1
last"
    seq 1 2000000 | cmp - image/rootfs/linked
    mark_requests
    run slipway build --progress=plain -t "$REGISTRY/followed:1" --push followed
    succeeded
    equal "$(grep -c CACHED <<<"$output")" 4
    equal "$(requests '"(PATCH|POST|PUT) ')" 0
}

@test "RUN: what a command made is kept though a later one fails" {
    large_steps app 'RUN cat /nothing'
    run slipway build --progress=plain app
    failed_with 1
    says 'Dockerfile:3:1: RUN .*cat /nothing: exit status 1'
    large_steps app 'RUN cat /numbers > /dev/null'
    run slipway build --progress=plain app
    succeeded
    says '#1 CACHED'
    equal "$(find "$SLIPWAY_HOME/tmp" -mindepth 1)" ""
}

@test "RUN: a comment's and a trailing space behind a backslash are no trouble" {
    context app <<'END'
FROM conformance/busybox:1
RUN echo one > /out && \ 
 # a comment between
 echo two >> /out && \  

 chmod 755 /out
END
    slipway build -o type=local,dest=out app
    equal "$(cat out/out)" "one
two"
    equal "$(stat -c %a out/out)" 755
}

@test "RUN: a secret is there for the step and nowhere afterwards" {
    context app <<'END'
FROM conformance/busybox:1
RUN --mount=type=secret,id=token sha256sum < /run/secrets/token | grep -q ^5f77b394ff5b673112320425194104eef59d15c2e1e29d2719b7073a9c0506e8 && echo used > /used
END
    echo -n 'very secret word' >token
    run slipway build --progress=plain --secret id=token,src=token -t "$REGISTRY/secret:1" --push app
    succeeded
    says_not 'very secret word'
    run grep -rl 'very secret word' "$SLIPWAY_HOME" "$BATS_FILE_TMPDIR/registry/storage"
    failed_with 1
    layer_listing "$REGISTRY/secret:1" >listing
    run grep secrets listing
    failed_with 1
}

@test "RUN: nothing is mounted and no temporary file is left afterwards" {
    local before
    before=$(cat /proc/self/mountinfo | wc -l)
    build_run <<'END'
RUN echo a > /a
RUN exit 3
END
    failed_with 1
    equal "$(cat /proc/self/mountinfo | wc -l)" "$before"
    equal "$(find "$SLIPWAY_HOME/tmp" -mindepth 1 2>/dev/null)" ""
    equal "$(find "$TMPDIR" -mindepth 1)" ""
}

@test "RUN: a base that breaks off, begins anew or is corrupt on its way is unpacked whole or not at all" {
    local fault port layer wanted
    export SLIPWAY_RETRY_DELAY=5ms
    layer=$(manifest "$REGISTRY/conformance/busybox:1" | jq -r '.layers[0].digest' | cut -d: -f2)
    build_run <<<'RUN sha256sum /bin/busybox /etc/passwd >/sum'
    succeeded
    wanted=$(tail -n 1 <<<"$output")
    port=$("$fixtures/faulty-proxy" start "$BATS_TEST_TMPDIR/proxy" "$REGISTRY")
    export SLIPWAY_REGISTRY_MAP=docker.io=127.0.0.1:$port
    for fault in "truncate=300000,path=$layer,nth=1" "no-range truncate=300000,path=$layer,nth=1" "corrupt,path=$layer,nth=1"; do
        rm -rf "$SLIPWAY_HOME"
        # shellcheck disable=SC2086
        "$fixtures/faulty-proxy" rules "$BATS_TEST_TMPDIR/proxy" $fault
        run slipway build --progress=plain app
        succeeded
        equal "$(tail -n 1 <<<"$output")" "$wanted"
        equal "$(grep -ac "$layer begins" "$BATS_TEST_TMPDIR/proxy/log")" 1
        : >"$BATS_TEST_TMPDIR/proxy/log"
    done
    rm -rf "$SLIPWAY_HOME"
    "$fixtures/faulty-proxy" rules "$BATS_TEST_TMPDIR/proxy" "corrupt,path=$layer"
    run slipway build --progress=plain app
    "$fixtures/faulty-proxy" stop "$BATS_TEST_TMPDIR/proxy"
    failed_with 4
    says 'is corrupt: its bytes have the digest'
    equal "$(find "$SLIPWAY_HOME/tmp" "$SLIPWAY_HOME/unpacked" -mindepth 1 2>/dev/null)" ""
}

@test "RUN: works with 64 open files, and as many stages at once as the hard limit lets" {
    printf 'FROM conformance/busybox:1 AS s%d\nRUN echo %d >/f\n' $(for i in $(seq 60); do echo "$i $i"; done) | context app
    run bash -c "ulimit -n 64; '$SLIPWAY' build -q --target s1 app"
    succeeded
    printf 'FROM scratch\n' >>app/Dockerfile
    printf 'COPY --from=s%d /f /f%d\n' $(for i in $(seq 60); do echo "$i $i"; done) >>app/Dockerfile
    run bash -c "ulimit -Sn 200; '$SLIPWAY' build -q app"
    succeeded
}
