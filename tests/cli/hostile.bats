#!/usr/bin/env bats
# Bad input: registries, archives and contexts that lie. Each time: an error on one line, the right exit code, nothing written
# outside the store, and the store usable right after.

load helpers

setup_file() {
    start_registry
    push_bases
    export BAD_REGISTRY_TARGET=$BATS_FILE_TMPDIR/outside
    mkdir "$BAD_REGISTRY_TARGET"
    BAD=127.0.0.1:$("$fixtures/bad-registry" start "$BATS_FILE_TMPDIR/bad-registry")
    export BAD
}

teardown_file() {
    "$fixtures/bad-registry" stop "$BATS_FILE_TMPDIR/bad-registry"
    stop_registry
}

setup() {
    fresh_environment
    # What is wrong for good stays wrong: faults.bats tries what patience is worth.
    export SLIPWAY_RETRY=2 SLIPWAY_RETRY_DELAY=50ms
    rm -rf "$BAD_REGISTRY_TARGET"
    mkdir -p "$BAD_REGISTRY_TARGET"
    echo untouched >"$BAD_REGISTRY_TARGET/victim"
}

# A build whose every layer of NAME is needed and whose files are read.
build_from() { # NAME
    mkdir -p app
    printf 'FROM %s/bad/%s:1 AS base\nFROM scratch\nCOPY --from=base / /all/\n' "$BAD" "$1" >app/Dockerfile
    run timeout 60 "$SLIPWAY" build --progress=quiet -o type=tar,dest=out.tar app
}

# The folder outside is as it was.
nothing_outside() {
    equal "$(find "$BAD_REGISTRY_TARGET" -mindepth 1 -printf '%f\n')" victim
    equal "$(cat "$BAD_REGISTRY_TARGET/victim")" untouched
}

# The error is one line, and the same store builds a good image.
one_line_and_usable() {
    equal "$(grep -c '^slipway: ' <<<"$output")" 1
    equal "$(grep -vc '^slipway: ' <<<"$output" || true)" 0
    nothing_outside
    build_from good
    succeeded
    equal "$(tar -xOf out.tar all/fine)" fine
}

@test "hostile: the good image of the bad registry builds" {
    build_from good
    succeeded
}

for_each_bad_document() {
    local name
    for name in "$@"; do
        build_from "$name"
        failed_with 4
        one_line_and_usable
    done
}

@test "hostile: a registry that answers HTML" {
    for_each_bad_document html
}

@test "hostile: a manifest of a million brackets, one of 100 MB" {
    for_each_bad_document brackets huge
}

@test "hostile: a blob with a flipped bit" {
    for_each_bad_document flipped
}

@test "hostile: a blob that ends early, one that goes on" {
    for_each_bad_document truncated long
}

@test "hostile: wrong sizes, diff ids, digests and configs" {
    for_each_bad_document size diffid digest config
}

@test "hostile: layers that would leave their folder" {
    local name
    for name in dotdot absolute symlink symlinkdir hardlink nul longname whiteout; do
        build_from "$name"
        # A layer may be refused, or its entry be taken as inside the image's root: never anything else.
        if [ "$status" -ne 0 ]; then
            failed_with 4
            one_line_and_usable
        fi
        nothing_outside
    done
}

@test "hostile: deletions of nothing, of .. and above other entries" {
    for_each_bad_document whiteout1 whiteout2 whiteout3 whiteout4
}

@test "hostile: sizes and numbers that are none, negative or too large" {
    for_each_bad_document size1 size2 size3 size4 number1 number2 number3 number4 number5 number6 number7 number8 number9 number10
}

@test "hostile: blobs that are nothing, no tar, or a thousand times larger inside" {
    for_each_bad_document empty garbage bomb entries
    mkdir -p app
    printf 'FROM %s/bad/entries:1 AS base\nFROM scratch\nCOPY --from=base / /all/\n' "$BAD" >app/Dockerfile
    # What is said of a million entries is all that is kept of them.
    run python3 - "$SLIPWAY" <<'END'
import resource, subprocess, sys
subprocess.run([sys.argv[1], "build", "--progress=quiet", "app"], stderr=subprocess.DEVNULL)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
sanitized = b"__asan_init" in open(sys.argv[1], "rb").read()
print("peak: %d MB" % peak)
assert peak < (800 if sanitized else 400)
END
    succeeded
    [ "$(du -sm "$SLIPWAY_HOME" | cut -f1)" -lt 20 ]
}

@test "hostile: the same layers under a RUN, which unpacks them" {
    needs_root
    local name
    for name in dotdot absolute symlink symlinkdir hardlink hardfolder nul longname whiteout; do
        mkdir -p app
        printf 'FROM %s/bad/%s:1\nRUN echo nothing can run here\n' "$BAD" "$name" >app/Dockerfile
        run timeout 60 "$SLIPWAY" build --progress=quiet app
        [ "$status" -ne 0 ]
        [ "$status" -lt 124 ]
        nothing_outside
    done
}

@test "hostile: an archive in ADD that would leave its folder" {
    mkdir app
    printf 'FROM scratch\nADD bad.tar /in/\n' >app/Dockerfile
    python3 - app/bad.tar "$BAD_REGISTRY_TARGET" <<'END'
import io, sys, tarfile
with tarfile.open(sys.argv[1], "w") as tar:
    for name in ("../" * 20 + sys.argv[2].lstrip("/") + "/dotdot", sys.argv[2] + "/absolute"):
        info = tarfile.TarInfo(name)
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    info = tarfile.TarInfo("way")
    info.type, info.linkname = tarfile.SYMTYPE, sys.argv[2]
    tar.addfile(info)
    info = tarfile.TarInfo("way/through")
    info.size = 1
    tar.addfile(info, io.BytesIO(b"x"))
END
    run slipway build -o type=local,dest=out app
    nothing_outside
    [ "$status" -eq 0 ] || failed_with 1
}

@test "hostile: links of the context that point outside are copied as links, not followed" {
    mkdir app
    ln -s "$BAD_REGISTRY_TARGET" app/folder
    ln -s "$BAD_REGISTRY_TARGET/victim" app/file
    printf 'FROM scratch\nCOPY . /all/\n' >app/Dockerfile
    slipway build -o type=tar,dest=out.tar app
    tar -tvf out.tar >listing
    run grep -c untouched listing
    run tar -xOf out.tar all/file
    says_not untouched
    printf 'FROM scratch\nCOPY folder/victim /victim\n' >app/Dockerfile
    run slipway build -o type=tar,dest=out.tar app
    failed_with 1
}

@test "hostile: COPY of .. and a Dockerfile outside by link do not leave the context" {
    mkdir -p app
    echo outside >outside.txt
    printf 'FROM scratch\nCOPY ../outside.txt /x\n' >app/Dockerfile
    run slipway build -o type=tar,dest=out.tar app
    failed_with 1
    says 'Dockerfile:2'
}

@test "hostile: a context with names that are no text" {
    mkdir app
    printf 'FROM scratch\nCOPY . /\n' >app/Dockerfile
    touch "app/$(printf 'bad\xff\xfename')" "app/$(printf 'new\nline')"
    slipway build -o type=tar,dest=out.tar app
    equal "$(tar -tf out.tar | wc -l)" 3
}

@test "hostile: a store whose blob was damaged says so and heals by another build" {
    site_context app
    slipway build -t "$REGISTRY/heal:1" app
    local blob
    while IFS= read -r blob; do
        if [ "$(head -c 2 "$blob" | od -An -tx1)" = " 1f 8b" ]; then
            printf 'XX' | dd of="$blob" bs=1 seek=20 conv=notrunc status=none
            break
        fi
    done < <(find "$SLIPWAY_HOME/blobs" -type f -size -2)
    run slipway push "$REGISTRY/heal:1"
    failed_with 5
    says 'damaged'
    run slipway build -t "$REGISTRY/heal:2" --push app
    succeeded
    skopeo copy --quiet --insecure-policy --src-tls-verify=false "docker://$REGISTRY/heal:2" dir:copy
}

@test "hostile: a Dockerfile of binary, of nothing, of 10 MB" {
    mkdir app
    head -c 5000 /dev/urandom >app/Dockerfile
    run slipway build app
    failed_with 2
    : >app/Dockerfile
    run slipway build app
    failed_with 2
    { echo 'FROM scratch'; head -c 10000000 /dev/zero | tr '\0' 'A'; } >app/Dockerfile
    run timeout 20 "$SLIPWAY" build app
    failed_with 2
    equal "$(wc -c <<<"$output" | awk '{print ($1 < 4000)}')" 1
}

@test "hostile: unknown instructions and flags are errors with line and caret" {
    mkdir app
    printf 'FROM scratch\n\nCOYP a b\n' >app/Dockerfile
    run slipway build app
    failed_with 2
    says 'Dockerfile:3'
    says 'COPY'
    printf 'FROM scratch\nCOPY --form=build a b\n' >app/Dockerfile
    run slipway build app
    failed_with 2
    says 'Dockerfile:2:[0-9]+: .*did you mean --from\?'
    says '\^'
}
