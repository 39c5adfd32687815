#!/usr/bin/env bats
# What `slipway build` makes of a folder: layers, determinism, outputs. No RUN here.

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

@test "build: pushes an image that skopeo and umoci read" {
    site_context app
    run slipway build -t "$REGISTRY/site:1" --push app
    succeeded
    unpack "$REGISTRY/site:1" image
    equal "$(cat image/rootfs/srv/site/index.html)" "<h1>hello</h1>"
    equal "$(stat -c '%a %u %g' image/rootfs/start.sh)" "755 0 0"
    image_config "$REGISTRY/site:1" | python3 -c '
import json, sys
config = json.load(sys.stdin)["config"]
assert config["Cmd"] == ["/start.sh"], config
assert "PORT=8080" in config["Env"], config
assert config["ExposedPorts"] == {"8080/tcp": {}}, config'
}

@test "build: an ordinary user without any right writes files owned by root" {
    site_context app
    prepare_nobody
    run as_nobody "$SLIPWAY" build -t "$REGISTRY/nobody:1" --push app
    succeeded
    layer_listing "$REGISTRY/nobody:1" 2 >listing
    grep -q 'srv/site/index.html$' listing
    run grep -vE '^\S+ 0/0 ' listing
    failed_with 1
}

@test "build: root and an ordinary user make the same manifest" {
    site_context app
    slipway build -t "$REGISTRY/same:root" --push app
    prepare_nobody
    SLIPWAY_HOME=$BATS_TEST_TMPDIR/other
    install -d -o 31000 -g 31000 "$SLIPWAY_HOME"
    as_nobody "$SLIPWAY" build -t "$REGISTRY/same:user" --push app
    equal "$(manifest_digest "$REGISTRY/same:root")" "$(manifest_digest "$REGISTRY/same:user")"
}

@test "build: umask, time zone, number of jobs, folder and store do not change the manifest" {
    site_context app
    git -C app init --quiet
    git -C app add --all
    commit app first
    slipway build -t "$REGISTRY/stable:1" --push app
    (umask 077 && git clone --quiet app deep-other-folder && cd deep-other-folder &&
        SLIPWAY_HOME=$BATS_TEST_TMPDIR/store2 TZ=Asia/Kathmandu slipway build --jobs 1 -t "$REGISTRY/stable:2" --push .)
    (umask 002 && git clone --quiet app third &&
        SLIPWAY_HOME=$BATS_TEST_TMPDIR/store3 TZ=America/New_York slipway build --jobs 7 -t "$REGISTRY/stable:3" --push third)
    equal "$(manifest_digest "$REGISTRY/stable:1")" "$(manifest_digest "$REGISTRY/stable:2")"
    equal "$(manifest_digest "$REGISTRY/stable:1")" "$(manifest_digest "$REGISTRY/stable:3")"
}

@test "build: a layer is sorted, holds its parents, and names no owner" {
    site_context app
    slipway build -t "$REGISTRY/canonical:1" --push app
    layer_blob "$REGISTRY/canonical:1" 2 | gzip -dc >layer.tar
    python3 - layer.tar <<'END'
import sys, tarfile
with tarfile.open(sys.argv[1]) as tar:
    members = tar.getmembers()
names = [m.name for m in members]
assert names == sorted(names, key=lambda n: n.encode()), names
assert "srv/site/pages" in names and "srv" in names, names
assert all(m.uname == "" and m.gname == "" for m in members), "owners by name"
END
}

@test "build: gzip members: a layer is one, so that every reader sees all of it" {
    context big <<'END'
FROM scratch
COPY data /
END
    python3 -c '
import random
random.seed(1)
open("big/data", "wb").write(bytes(random.getrandbits(8) & 0x3f for _ in range(9 << 20)))'
    slipway build -t "$REGISTRY/big:1" --push big
    layer_blob "$REGISTRY/big:1" >layer.gz
    gzip -t layer.gz
    python3 - layer.gz <<'END'
import sys, zlib
data = open(sys.argv[1], "rb").read()
d = zlib.decompressobj(31)
length = len(d.decompress(data))
assert d.eof and d.unused_data == b"", "more than one member"
assert length > 9 << 20, length
END
}

@test "build: the second build of the same reads no blob, sends none and gives the same digest" {
    site_context app
    slipway build -t "$REGISTRY/twice:1" --push app
    mark_requests
    run slipway build -t "$REGISTRY/twice:2" --push app
    succeeded
    equal "$(requests '"(PUT|PATCH|POST) /v2/twice/blobs')" 0
    equal "$(requests '"GET /v2/[a-z/]+/blobs')" 0
    equal "$(manifest_digest "$REGISTRY/twice:1")" "$(manifest_digest "$REGISTRY/twice:2")"
}

@test "build: a large layer goes up while it is written, but not where the registry may have it" {
    local other=$BATS_TEST_TMPDIR/other third=$BATS_TEST_TMPDIR/third
    context app <<'END'
FROM scratch
COPY big /
END
    python3 -c 'import random, sys; sys.stdout.write(random.Random(7).randbytes(8000000).hex())' >app/big
    mark_requests
    run slipway build --compression-level=9 -t "$REGISTRY/ahead:1" --push app
    succeeded
    equal "$(requests '"PATCH /v2/ahead/')" 1
    # Somebody else with the same files sends nothing.
    mark_requests
    SLIPWAY_HOME=$other run slipway build --compression-level=9 -t "$REGISTRY/ahead:2" --push app
    succeeded
    equal "$(requests '"(PATCH|POST|PUT) /v2/ahead/blobs/')" 0
    # And with others, asks first: who knows what this repository has.
    echo other >>app/big
    mark_requests
    SLIPWAY_HOME=$third run slipway build --compression-level=9 -t "$REGISTRY/ahead:3" --push app
    succeeded
    equal "$(requests '"PATCH /v2/ahead/')" 0
    # Who sent the version before makes a new one, which nobody has.
    echo mine >>app/big
    mark_requests
    run slipway build --compression-level=9 -t "$REGISTRY/ahead:4" --push app
    succeeded
    equal "$(requests '"PATCH /v2/ahead/')" 1
    unpack "$REGISTRY/ahead:4" image
    cmp app/big image/rootfs/big
}

@test "build: a COPY that needs no content of the base moves none of its layers" {
    context root <<'END'
FROM conformance/busybox:1
COPY file /
END
    echo content >root/file
    mark_requests
    run slipway build -t "$REGISTRY/conformance/rootfile:1" --push root
    succeeded
    # The base's config is read; its layer, the only large blob, is neither fetched nor sent.
    local layer
    layer=$(manifest "$REGISTRY/conformance/busybox:1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["layers"][0]["digest"])')
    equal "$(requests "\"GET /v2/conformance/busybox/blobs/$layer")" 0
    equal "$(manifest "$REGISTRY/conformance/rootfile:1" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["layers"][0]["digest"])')" "$layer"
}

@test "build: whether the base is new to the store or known makes no difference" {
    local cold
    mkdir -p app/src/deep && seq 1 3000 >app/src/deep/numbers && echo a >app/a && ln app/a app/src/same && echo no >app/secret
    echo secret >app/.dockerignore
    context app <<'END'
FROM conformance/busybox:1
WORKDIR /app
COPY a src/ ./
COPY . all/
COPY --exclude=deep src deep
END
    run slipway build --offline app
    failed_with 4
    run slipway build app
    succeeded
    cold=$(tail -n 1 <<<"$output")
    run slipway build --no-cache app
    equal "$(tail -n 1 <<<"$output")" "$cold"
    rm -rf "$SLIPWAY_HOME"
    echo 'COPY secret /' >>app/Dockerfile
    run slipway build app
    failed_with 1
    says 'COPY secret: not in the build context'
}

@test "build: -o type=oci writes a tar that skopeo reads, and a folder with tar=false" {
    site_context app
    slipway build -o type=oci,dest=image.tar app
    run skopeo inspect --config oci-archive:image.tar
    succeeded
    says 8080
    slipway build -o type=oci,dest=layout,tar=false app
    [ -e layout/index.json ]
    umoci unpack --image "layout:$(umoci ls --layout layout | head -n 1)" bundle >/dev/null || skopeo copy --quiet --insecure-policy oci:layout dir:copied
}

@test "build: -o type=docker writes an archive that skopeo reads" {
    site_context app
    slipway build -t example/site:1 -o type=docker,dest=image.tar app
    run skopeo inspect docker-archive:image.tar
    succeeded
    run tar -xOf image.tar manifest.json
    says 'example/site:1'
}

@test "build: -o type=tar and type=local write the files themselves" {
    context files <<'END'
FROM scratch
COPY --chmod=640 a /dir/a
END
    echo a >files/a
    slipway build -o type=tar,dest=files.tar files
    equal "$(tar -xOf files.tar dir/a)" a
    slipway build -o type=local,dest=out files
    equal "$(cat out/dir/a)" a
    equal "$(stat -c %a out/dir/a)" 640
}

@test "build: --iidfile and --metadata-file tell what was built" {
    site_context app
    slipway build -t "$REGISTRY/told:1" --push --iidfile id --metadata-file metadata app
    grep -qE '^sha256:[0-9a-f]{64}$' id
    python3 - "$(manifest_digest "$REGISTRY/told:1")" <<'END'
import json, sys
with open("metadata", encoding="utf-8") as f:
    told = json.load(f)
assert told["containerimage.digest"] == sys.argv[1], told
END
}

@test "build: .dockerignore keeps files out, and says so when one is asked for" {
    site_context app
    printf 'site/pages\n*.md\n' >app/.dockerignore
    echo secret >app/site/notes.md
    slipway build -t "$REGISTRY/ignored:1" --push app
    run layer_listing "$REGISTRY/ignored:1" 2
    says 'srv/site/index.html$'
    says_not 'about.html'
    echo 'COPY site/pages /pages' >>app/Dockerfile
    run slipway build app
    failed_with 1
    says 'site/pages'
    says '[Dd]ockerfile:7'
    says '\.dockerignore'
}

@test "build: stages, ARG, COPY --from and --target" {
    context stages <<'END'
ARG WHERE=one
FROM scratch AS one
COPY a /from-one
FROM scratch AS two
COPY b /from-two
FROM ${WHERE} AS chosen
FROM scratch
COPY --from=chosen / /all/
END
    echo a >stages/a
    echo b >stages/b
    slipway build -o type=local,dest=default stages
    [ -e default/all/from-one ]
    slipway build --build-arg WHERE=two -o type=local,dest=other stages
    [ -e other/all/from-two ]
    slipway build --target one -o type=local,dest=target stages
    [ -e target/from-one ]
}

@test "build: reads a context from a tar on stdin, and a Dockerfile from elsewhere" {
    site_context app
    tar -C app -cf - . | slipway build -t "$REGISTRY/stdin:1" --push -
    slipway build -t "$REGISTRY/stdin:2" --push app
    equal "$(layer_listing "$REGISTRY/stdin:1" 2 | awk '{print $1, $2, $3, $6}')" \
        "$(layer_listing "$REGISTRY/stdin:2" 2 | awk '{print $1, $2, $3, $6}')"
    printf 'FROM scratch\nCOPY start.sh /only\n' >elsewhere
    slipway build -f elsewhere -o type=local,dest=out app
    [ -e out/only ]
}

@test "build: several builds share a store at once" {
    site_context app
    local n
    local -a pids=()
    for n in 1 2 3 4; do
        slipway build -t "$REGISTRY/crowd:$n" --push app >"out.$n" 2>&1 &
        pids+=($!)
    done
    for n in "${pids[@]}"; do
        wait "$n" || { cat out.*; return 1; }
    done
    for n in 2 3 4; do
        equal "$(manifest_digest "$REGISTRY/crowd:1")" "$(manifest_digest "$REGISTRY/crowd:$n")"
    done
}

@test "build: names of users are looked up without inflating the base to the disk" {
    context app <<'END'
FROM conformance/busybox:1
WORKDIR /by/root
COPY --chown=app:staff Dockerfile /by/app
USER app
WORKDIR /by/user
END
    run slipway build -t "$REGISTRY/names:1" --push app
    succeeded
    layer_listing "$REGISTRY/names:1" 2 >listing
    grep -q '1000/50 .* by/app$' listing
    layer_listing "$REGISTRY/names:1" >listing
    grep -q '1000/1000 .* by/user/$' listing
    [ ! -e "$SLIPWAY_HOME/tars" ]
    printf 'FROM conformance/busybox:1 AS base\nFROM scratch\nCOPY --from=base /etc /etc\n' >app/Dockerfile
    slipway build app
    [ -e "$SLIPWAY_HOME/tars" ]
}

@test "build: memory is bounded: a file of 600 MB takes no more than 300 MB" {
    mkdir app
    printf 'FROM scratch\nCOPY big /\n' >app/Dockerfile
    head -c 600M /dev/zero | openssl enc -aes-128-ctr -nosalt -pass pass:x 2>/dev/null >app/big
    python3 - "$SLIPWAY" <<'END'
import resource, subprocess, sys
subprocess.run([sys.argv[1], "build", "--progress=quiet", "app"], check=True, stdout=subprocess.DEVNULL)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
print("peak: %d MB" % peak)
assert peak < 300
END
}

@test "build: memory is bounded: a blob of 100 MB in a repository takes no more than 60 MB" {
    ! grep -q __asan_init "$SLIPWAY" || skip "AddressSanitizer needs memory of its own"
    mkdir app
    git init -q app
    printf 'FROM scratch\nCOPY big /\n' >app/Dockerfile
    head -c 100M /dev/urandom >app/big
    git -C app add --all
    git -C app commit -qm one
    python3 - "$SLIPWAY" "file://$PWD/app" <<'END'
import os, subprocess, sys
for packed in False, True:
    child = subprocess.Popen([sys.argv[1], "build", "--no-cache", "--progress=quiet", sys.argv[2]], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0
    print("peak: %d MB" % (usage.ru_maxrss >> 10))
    assert usage.ru_maxrss >> 10 < 60
    subprocess.run(["git", "-C", "app", "gc", "-q"], check=True)
END
}

@test "build: memory does not grow with the number of files" {
    ! grep -q __asan_init "$SLIPWAY" || skip "AddressSanitizer needs memory of its own"
    case $(stat --file-system --format %T .) in
    ext2/ext3 | xfs | f2fs | overlayfs) ;;
    *) skip "needs a disk whose room can be had beforehand" ;;
    esac
    python3 - "$SLIPWAY" <<'END'
import os, subprocess, sys

def make(name, count):
    for i in range(count):
        if i % 100 == 0:
            os.makedirs(f"{name}/folder{i // 100:05}")
        with open(f"{name}/folder{i // 100:05}/file{i:07}", "w") as f:
            f.write(str(i))
    with open(f"{name}/Dockerfile", "w") as f:
        f.write("FROM scratch\nCOPY . /all/\n")

def peak(name):
    child = subprocess.Popen([sys.argv[1], "build", "--progress=quiet", name], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0
    return usage.ru_maxrss >> 10

make("few", 5000)
make("many", 100000)
for what in "first", "cached":
    few, many = peak("few"), peak("many")
    print(what, few, many, "MB")
    assert many < few + 20
with open("many/folder00500/file0050000", "a") as f:
    f.write("more")
many = peak("many")
print("changed", many, "MB")
assert many < few + 25
END
}

@test "build: the agent of --ssh fetches the context as well" {
    local port agent
    echo 'FROM scratch' | context app
    git init -q app
    git -C app add --all
    git -C app commit -qm one
    ssh-keygen -q -t ed25519 -N '' -f key
    start_ssh_server key.pub
    mkdir -p "$HOME/.ssh"
    echo "[127.0.0.1]:$port $(cut -d ' ' -f 1,2 ssh/host_ed25519.pub)" >"$HOME/.ssh/known_hosts"
    agent=$(ssh-agent -a agent 3>&- | sed -n 's/.*SSH_AGENT_PID=\([0-9]*\);.*/\1/p')
    SSH_AUTH_SOCK=agent ssh-add -q key
    run slipway build -q --ssh "default=$PWD/agent" "ssh://$(id -un)@127.0.0.1:$port$PWD/app/.git"
    kill "$agent"
    "$fixtures/ssh-server" stop ssh
    succeeded
}
