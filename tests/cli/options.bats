#!/usr/bin/env bats
# The command line: what is not understood is said, with exit code 2, before anything is made or asked.

load helpers

setup() {
    fresh_environment
    mkdir app
    printf 'FROM scratch\nCOPY file /\n' >app/Dockerfile
    echo a >app/file
}

refuses() { # PATTERN ARGUMENT...
    local pattern=$1
    shift
    run slipway "$@"
    failed_with 2
    says "^slipway: .*$pattern"
    equal "${#lines[@]}" 1
    [ ! -e "$SLIPWAY_HOME" ]
}

@test "options: an unknown command names the nearest" {
    refuses "no command 'biuld', did you mean 'build'\\?" biuld .
    refuses "no option '--hlep', did you mean '--help'\\?" --hlep
    refuses "no command 'frobnicate', see 'slipway --help'" frobnicate
    refuses "no command 'run': .*runs no containers" run x
    refuses "no option '--versoin'" --versoin
    run slipway
    failed_with 2
    says '^Usage: slipway COMMAND'
}

@test "options: an unknown option names the nearest" {
    refuses 'build: no option --tga, did you mean --tag\?' build --tga x app
    refuses 'build: no option --buildarg, did you mean --build-arg\?' build --buildarg A=b app
    refuses 'push: no option --al-tags, did you mean --all-tags\?' push --al-tags x
    refuses 'build: no option -Z' build -Z app
}

@test "options: what is not there yet is an error that says so" {
    refuses 'cache-to: type=inline: .*write --cache-to HOST/REPOSITORY' build --cache-to type=inline app
    refuses 'cache-from: type=local: .*write --cache-from HOST/REPOSITORY' build --cache-from type=local,src=x app
    refuses 'cache-from: type=registry lacks the repository' build --cache-from type=registry app
    refuses 'cache-to: .compression=zstd. is not known here' build --cache-to type=registry,ref=x,compression=zstd app
    refuses 'cache-to: .*a digest is no place for a cache' build --cache-to "x@sha256:$(printf '%064d' 0)" app
    refuses 'cache: in which repository' build --cache app
    refuses 'provenance' build --provenance=true app
    refuses 'layers are not joined' build --squash app
}

@test "options: values are checked before anything is done" {
    refuses "push: 'perhaps' is neither true nor false" build --push=perhaps app
    refuses "progress: 'loud'" build --progress loud app
    refuses "network: 'bridge'" build --network bridge app
    refuses "isolation: 'vm'" build --isolation vm app
    refuses "compression: 'lzma'" build --compression lzma app
    refuses 'gzip has levels 1 to 12' build --compression-level 15 app
    refuses "timestamps: 'now'" build --timestamps now app
    refuses "platform: " build --platform linux/amd64/v1/x app
    refuses "add-host: 'x' is no IP" build --add-host name:x app
    refuses 'label: ' build --label =x app
    refuses 'annotation: ' build --annotation x app
    refuses 'build-context: ' build --build-context folder app
    refuses "build-context: 'nowhere': No such file" build --build-context name=nowhere app
    refuses 'secret: id=NAME' build --secret src=app/file app
    refuses 'secret: .*missing' build --secret id=a,src=missing app
    refuses 'secret: the variable NOT_SET' build --secret id=a,env=NOT_SET app
    refuses "secret: no key 'sorce', did you mean source" build --secret id=a,sorce=b app
    refuses 'ssh: SSH_AUTH_SOCK' build --ssh default app
    refuses "ssh: .* is no agent's socket" build --ssh default=app/file app
    refuses 'isolation: .*not possible yet' build --isolation chroot app
    refuses 'tag: ' build -t 'Not A Name' app
    refuses 'tag: .*digest' build -t "a@sha256:$(printf '%064d' 0)" app
    refuses "output: no type 'ocy'" build -o type=ocy,dest=x app
    refuses 'jobs: ' build --jobs many app
    refuses 'jobs: .*1024' build --jobs 1000000 app
    refuses 'retry: ' build --retry -1 app
    refuses 'retry-delay: .*no time' build --retry-delay soon app
    refuses 'timeout: .*no time' build --timeout 0 app
    refuses 'registry-map: ' build --registry-map nothing app
}

@test "options: arguments are counted" {
    refuses 'CONTEXT is missing' build
    refuses "'b' is one argument too many" build app b
    refuses 'an argument is missing' push
    refuses 'two contexts' build --context app app
    refuses 'missing' tag one
}

@test "options: what excludes each other" {
    refuses 'exclude each other' build --push --no-push -t x app
    refuses 'exclude each other' build --push --offline -t x app
    refuses 'no-push' ship --no-push --container web -t x app
    refuses 'exclude each other' login -u a -p b --password-stdin host
}

@test "options: pushing without a name says how to give one" {
    refuses 'needs a name: -t .*IMAGE_REPO_NAME' build --push app
    # Here the name may also stand in the context's slipway.json, which has to be opened first.
    run slipway ship --container web app
    failed_with 2
    says '^slipway: .*needs a name: -t .*AWS_ACCOUNT_ID'
}

@test "options: flags that docker users give and that change nothing are taken" {
    run slipway build -q --rm --force-rm --load --provenance=false --reproducible --compress app
    succeeded
}

@test "options: several platforms make an index, and a folder each" {
    slipway build -q --platform linux/amd64,linux/arm64 -t many:1 -o type=oci,dest=layout,tar=false -o type=local,dest=out \
        -o type=tar,dest=all.tar --iidfile id app
    [ -e out/linux_amd64/file ]
    [ -e out/linux_arm64/file ]
    equal "$(tar -tf all.tar | sort | tr '\n' ' ')" "linux_amd64/ linux_amd64/file linux_arm64/ linux_arm64/file "
    python3 - <<'END'
import json
def blob(digest):
    with open("layout/blobs/" + digest.replace(":", "/"), encoding="utf-8") as f:
        return json.load(f)
with open("layout/index.json", encoding="utf-8") as f:
    top = blob(json.load(f)["manifests"][0]["digest"])
found = [m["platform"]["architecture"] for m in top["manifests"]]
assert found == ["amd64", "arm64"], top
assert [blob(blob(m["digest"])["config"]["digest"])["architecture"] for m in top["manifests"]] == found
END
    slipway build -q --platform linux/s390x,linux/riscv64 -t foreign:1 app
    run slipway images foreign
    succeeded
    says '^foreign +1 '
    slipway save -o foreign.tar foreign:1
    SLIPWAY_HOME=$BATS_TEST_TMPDIR/other slipway load -i foreign.tar
    equal "$(SLIPWAY_HOME=$BATS_TEST_TMPDIR/other slipway inspect -f '{{.Digest}}' foreign:1)" \
        "$(slipway inspect -f '{{.Digest}}' foreign:1)"
}

@test "options: kaniko's names mean the same" {
    run slipway build --context "dir://$PWD/app" --dockerfile app/Dockerfile --destination example/app:1 --no-push \
        --tar-path app.tar --oci-layout-path layout --digest-file digest
    succeeded
    grep -qE '^sha256:[0-9a-f]{64}$' digest
    tar -tf app.tar | grep -q '^manifest.json$'
    [ -e layout/oci-layout ]
    run slipway images
    says '^example/app +1 '
    run slipway --context app --no-push --destination example/app:2 --verbosity=debug --snapshot-mode redo --use-new-run \
        --cleanup --force --log-format text --push-retry 3 --image-download-retry=2
    succeeded
    run slipway build --context app --no-push --single-snapshot
    failed_with 2
    says 'COPY --from'
}

@test "options: the pipeline's variables name the image" {
    export AWS_ACCOUNT_ID=123456789012 AWS_DEFAULT_REGION=eu-west-1 IMAGE_REPO_NAME=app IMAGE_TAG=7
    slipway build -q app
    run slipway images --format '{{.Repository}}:{{.Tag}}'
    equal "$output" 123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:7
    slipway build -q -t other:1 app
    run slipway images -q other
    equal "${#lines[@]}" 1
}

@test "options: standard output is the image's digest and nothing else" {
    slipway build --progress=plain app >out 2>errors
    grep -qE '^sha256:[0-9a-f]{64}$' out
    equal "$(wc -l <out)" 1
    grep -q '^#1 ' errors
    slipway build -q app >out2 2>errors2
    equal "$(cat out2)" "$(cat out)"
    [ ! -s errors2 ]
    slipway build --progress=json app 2>&1 >out3 | python3 -c 'import json, sys; [json.loads(line) for line in sys.stdin]'
    equal "$(cat out3)" "$(cat out)"
    equal "$(slipway build -q -o - app | tar -xO file)" a
}
