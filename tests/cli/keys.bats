#!/usr/bin/env bats
# What makes a cached step run again, and what does not: each input of a step changed in turn.

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
    keys_context app
    slipway build -o type=local,dest=first app
    before=$(stamp first)
}

# Every step's result differs whenever it runs: what stays the same was not run.
keys_context() { # FOLDER
    context "$1" <<'END'
FROM conformance/busybox:1
ARG UNUSED=1
ARG USED=1
COPY file /file
ENV NAME=value
RUN echo "$USED" && cat /proc/sys/kernel/random/uuid > /stamp
END
    echo content >"$1/file"
    echo other >"$1/other"
}

stamp() { # FOLDER
    cat "$1/stamp"
}

unchanged() { # [OPTION...]
    slipway build "$@" -o type=local,dest=again app
    equal "$(stamp again)" "$before"
}

changed() { # [OPTION...]
    slipway build "$@" -o type=local,dest=again app
    if [ "$(stamp again)" = "$before" ]; then
        echo "the step did not run again"
        return 1
    fi
}

@test "keys: nothing changed" {
    unchanged
}

@test "keys: another time, owner or place of the context change nothing" {
    touch -d 2001-01-01 app/file app/Dockerfile
    chown 1234 app/file
    mv app elsewhere
    mv elsewhere app
    unchanged
}

@test "keys: a file that no step takes changes nothing" {
    echo new >app/other
    echo new >app/another
    unchanged
}

@test "keys: a comment, blank lines and the way a line is continued change nothing" {
    sed -i -e 's/^ENV/# a comment\n\nENV/' app/Dockerfile
    unchanged
}

@test "keys: the content of a copied file" {
    echo changed >app/file
    changed
}

@test "keys: the mode of a copied file" {
    chmod 755 app/file
    changed
}

@test "keys: the text of the RUN" {
    sed -i 's/^RUN echo/RUN echo more/' app/Dockerfile
    changed
}

@test "keys: an ENV before it" {
    sed -i 's/^ENV NAME=value/ENV NAME=other/' app/Dockerfile
    changed
}

@test "keys: a build argument that is declared before a RUN is part of it" {
    changed --build-arg USED=2
}

@test "keys: the base" {
    sed -i 's,^FROM .*,FROM conformance/links:1,' app/Dockerfile
    changed
}

@test "keys: --no-cache runs all" {
    changed --no-cache
}

@test "keys: a WORKDIR, a USER and a SHELL before it" {
    sed -i 's,^RUN,WORKDIR /srv\nRUN,' app/Dockerfile
    changed
    before=$(stamp again)
    sed -i 's,^RUN,SHELL ["/bin/ash"\, "-c"]\nRUN,' app/Dockerfile
    changed
}
