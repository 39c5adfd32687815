#!/usr/bin/env bats
# What is more than a file with a content: pipes, devices, sockets, capabilities and attributes of files, and the agent of ssh.

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
    needs_root
}

# The programs $2... of this machine and the libraries that they need, in the folder $1.
programs() {
    local to=$1 file
    shift
    for file in "$@" $(for file in "$@"; do ldd "$file" | grep -o '/[^ ]*'; done); do
        mkdir -p "$to$(dirname "$file")"
        cp -L "$file" "$to$file"
    done
}

# Mode, type, device numbers and path of what lies in folder $1.
listing() {
    (cd "$1" && find . -mindepth 1 -printf '%P %y %m\n' | sort | while read -r path type mode; do
        device=
        case $type in b | c) device=" $(stat -c %t,%T "$path")" ;; esac
        echo "$path $type $mode$device"
    done)
}

@test "special files: pipes and devices go through COPY, --from, --link and RUN; a socket becomes an empty file" {
    mkdir -p app/all
    mkfifo -m 640 app/all/pipe
    mknod -m 604 app/all/char c 1 3
    mknod -m 644 app/all/block b 7 9
    python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("app/all/sock")'
    chmod 751 app/all/sock
    cat >app/Dockerfile <<'END'
FROM conformance/busybox:1 AS one
COPY all /all
RUN cp -a /all /again; ls -l /all | grep -c '^[bcp]' >/again/kinds
FROM scratch
COPY --from=one /all /all
COPY --from=one /again /again
COPY --link --chmod=600 --chown=5:6 --from=one /all/p* /all/char /linked/
END
    run slipway build -t "$REGISTRY/special:1" --push app
    succeeded
    unpack "$REGISTRY/special:1" image
    all='block b 644 7,9
char c 604 1,3
pipe p 640
sock f 751'
    equal "$(listing image/rootfs/all)" "$all"
    equal "$(listing image/rootfs/again | grep -v ^kinds)" "$all"
    equal "$(cat image/rootfs/again/kinds)" 3
    equal "$(listing image/rootfs/linked)" 'char c 600 1,3
pipe p 600'
    equal "$(stat -c %u,%g image/rootfs/linked/pipe)" 5,6
}

@test "attributes: capabilities and attributes of the context's files go through COPY, RUN and COPY --from" {
    command -v setcap >/dev/null || skip "setcap is missing"
    mkdir app
    cp /bin/busybox app/tool
    setcap cap_net_bind_service=ep app/tool || skip "no capabilities on this file system"
    python3 -c 'import os; os.setxattr("app/tool", "user.name", b"value")'
    cat >app/Dockerfile <<'END'
FROM conformance/busybox:1 AS made
COPY tool /tool
RUN cp -p /tool /copy; ln /tool /linked
FROM scratch
COPY --from=made --chown=7 /linked /tool
END
    run slipway build -t "$REGISTRY/caps:1" --push app
    succeeded
    unpack "$REGISTRY/caps:1" image
    equal "$(getcap image/rootfs/tool)" "image/rootfs/tool cap_net_bind_service=ep"
    equal "$(stat -c %u image/rootfs/tool)" 7
    python3 -c 'import os; assert os.getxattr("image/rootfs/tool", "user.name") == b"value"'
}

@test "attributes: what setcap does in a RUN later steps, stages and images built on it have too" {
    command -v setcap >/dev/null || skip "setcap is missing"
    context app <<'END'
FROM conformance/busybox:1 AS one
COPY root /
RUN cp /bin/busybox /tool && setcap cap_net_raw=ep /tool && getcap /tool
RUN getcap /tool | grep -q cap_net_raw && echo >/other && ln /tool /second
FROM one
RUN getcap /second | grep -q cap_net_raw
RUN chown 5 /tool && test -z "$(getcap /tool)"
END
    programs app/root "$(command -v setcap)" "$(command -v getcap)"
    run slipway build -t "$REGISTRY/setcap:1" --push app
    succeeded
    printf 'FROM %s/setcap:1\nRUN getcap /second | grep -q cap_net_raw && test -z "$(getcap /tool)"\n' "$REGISTRY" >app/Dockerfile
    SLIPWAY_HOME=$PWD/another run slipway build app
    succeeded
}

@test "ssh: the agent answers in the RUN, and its socket leaves no trace" {
    command -v ssh-agent >/dev/null || skip "ssh-agent is missing"
    eval "$(ssh-agent -a "$BATS_TEST_TMPDIR/agent" | grep -v echo)"
    ssh-keygen -q -t ed25519 -N '' -C key-of-this-test -f key
    ssh-add -q key
    context app <<'END'
FROM conformance/busybox:1
COPY root /
RUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && ssh-add -l > /agent
RUN --mount=type=ssh,id=other,target=/tmp/a,uid=7,mode=0620 test "$SSH_AUTH_SOCK" = /tmp/a && stat -c '%u %a' /tmp/a >> /agent
USER 7
RUN --mount=type=ssh,uid=7 ssh-add -l | grep -q key-of-this-test && ssh-add -l | grep -q ED25519
RUN --mount=type=ssh,uid=8,mode=0600 ! ssh-add -l
USER 0
RUN test -z "$SSH_AUTH_SOCK" && test ! -e /run/buildkit && test ! -e /tmp/a
END
    programs app/root "$(command -v ssh-add)"
    run slipway build --ssh default --ssh "other=$SSH_AUTH_SOCK" -t "$REGISTRY/ssh:1" --push app
    kill "$SSH_AGENT_PID"
    succeeded
    unpack "$REGISTRY/ssh:1" image
    grep -q 'key-of-this-test (ED25519)' image/rootfs/agent
    equal "$(tail -n 1 image/rootfs/agent)" '7 620'
    [ ! -e image/rootfs/run/buildkit ]
    run slipway build --ssh default --ssh default=/dev/null app
    failed_with 2
    sed -i 's/type=ssh /type=ssh,required /' app/Dockerfile
    run slipway build --no-cache app
    failed_with 2
    says 'an ssh agent is required'
}
