#!/usr/bin/env bats
# RUN as an ordinary user, in a user namespace: with subordinate ids, without them, and the same result as root's.

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
    if ! as_nobody unshare --user true 2>/dev/null; then
        skip "this machine does not let users make user namespaces"
    fi
    prepare_nobody
}

# Gives the user 31000 a name and subordinate ids, in this mount namespace only.
with_subordinate_ids() {
    local name
    if [ "${SLIPWAY_PRIVATE_MACHINE:-}" != 1 ]; then
        skip "needs fixtures/private-machine, so that /etc/subuid can be changed for this test alone"
    fi
    for name in passwd subuid subgid; do
        cp "/etc/$name" "$BATS_TEST_TMPDIR/$name"
    done
    echo 'slipway-tester:x:31000:31000::/nonexistent:/bin/sh' >>"$BATS_TEST_TMPDIR/passwd"
    echo 'slipway-tester:700000:65536' >>"$BATS_TEST_TMPDIR/subuid"
    echo 'slipway-tester:700000:65536' >>"$BATS_TEST_TMPDIR/subgid"
    for name in passwd subuid subgid; do
        mount --bind "$BATS_TEST_TMPDIR/$name" "/etc/$name"
    done
}

teardown() {
    local name
    for name in passwd subuid subgid; do
        if [ -e "$BATS_TEST_TMPDIR/$name" ]; then
            umount "/etc/$name" 2>/dev/null || true
        fi
    done
}

run_context() {
    context app <<'END'
FROM conformance/busybox:1
RUN mkdir -p /made/by && echo run > /made/by/run && chmod 4755 /made/by/run && rm /etc/shadow
RUN chown 1000:1000 /made/by && ln /made/by/run /made/by/hard && ln -s run /made/by/soft
COPY --chown=app:app Dockerfile /made/copied
END
    chown -R 31000:31000 app
}

@test "rootless: RUN with subordinate ids gives the manifest that root gives" {
    with_subordinate_ids
    run_context
    run as_nobody "$SLIPWAY" build -t "$REGISTRY/rootless:user" --push app
    succeeded
    SLIPWAY_HOME=$BATS_TEST_TMPDIR/root-store slipway build -t "$REGISTRY/rootless:root" --push app
    equal "$(manifest_digest "$REGISTRY/rootless:user")" "$(manifest_digest "$REGISTRY/rootless:root")"
}

@test "rootless: RUN without subordinate ids works where one owner is enough" {
    context app <<'END'
FROM conformance/busybox:1
RUN test "$(id -u)" = 0 && echo run > /made && mkdir /folder
END
    chown -R 31000:31000 app
    run as_nobody "$SLIPWAY" build -t "$REGISTRY/single:1" --push app
    succeeded
    layer_listing "$REGISTRY/single:1" >listing
    run grep -vE '^\S+ 0/0 ' listing
    failed_with 1
}

@test "rootless: the user can remove the store afterwards, or slipway says how" {
    with_subordinate_ids
    run_context
    as_nobody "$SLIPWAY" build app
    run find "$SLIPWAY_HOME/tmp" -mindepth 1
    equal "$output" ""
}
