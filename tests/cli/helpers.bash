# What the whole-program tests share. Every file of tests/cli begins with `load helpers`, starts its peers in setup_file()
# and stops them in teardown_file(). Each test has a folder, a home and a store of its own.

top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
fixtures=$top/fixtures
SLIPWAY=${SLIPWAY:-$top/build-tests/slipway}

slipway() {
    "$SLIPWAY" "$@"
}

# A registry with the conformance suite's base images, which FROM conformance/NAME:1 finds.
start_registry() { # [OPTION...]
    local port
    port=$("$fixtures/registry" start "$BATS_FILE_TMPDIR/registry" "$@")
    export REGISTRY=127.0.0.1:$port REGISTRY_LOG=$BATS_FILE_TMPDIR/registry/log
}

push_bases() {
    no_proxy=127.0.0.1 "$top/tests/conformance/bases/make-bases" "$REGISTRY" >/dev/null
}

stop_registry() {
    "$fixtures/registry" stop "$BATS_FILE_TMPDIR/registry"
}

# A git server for the repositories in $BATS_FILE_TMPDIR/repositories; GIT_URL is where it answers.
start_git_server() { # [OPTION...]
    mkdir -p "$BATS_FILE_TMPDIR/repositories"
    GIT_URL=http://127.0.0.1:$("$fixtures/git-server" start "$BATS_FILE_TMPDIR/git-server" "$BATS_FILE_TMPDIR/repositories" "$@")
    export GIT_URL
}

stop_git_server() {
    "$fixtures/git-server" stop "$BATS_FILE_TMPDIR/git-server"
}

# An ssh server in ./ssh that lets this user in with a key; $port is where it answers.
start_ssh_server() { # PUBLIC-KEY
    local result=0
    port=$("$fixtures/ssh-server" start ssh "$1") || result=$?
    if [ "$result" -eq 77 ]; then
        skip "there is no sshd here, and none can be fetched"
    fi
    return "$result"
}

# A test begins in an empty folder, with an empty home and store and nothing of the caller's environment that changes a build.
fresh_environment() {
    local name
    for name in ${!AWS_@} DOCKER_CONFIG REGISTRY_AUTH_FILE SOURCE_DATE_EPOCH IMAGE_REPO_NAME IMAGE_TAG CONTAINER_NAME TASKDEF_FILE \
        XDG_DATA_HOME XDG_RUNTIME_DIR SSH_AUTH_SOCK http_proxy https_proxy HTTP_PROXY HTTPS_PROXY; do
        unset "$name"
    done
    # No test asks the machine that it runs on for keys.
    export AWS_EC2_METADATA_DISABLED=true
    export HOME=$BATS_TEST_TMPDIR/home SLIPWAY_HOME=$BATS_TEST_TMPDIR/store TMPDIR=$BATS_TEST_TMPDIR/tmp
    export SLIPWAY_REGISTRY_MAP=docker.io=${REGISTRY:-127.0.0.1:1}
    mkdir -p "$HOME" "$TMPDIR" "$BATS_TEST_TMPDIR/work"
    git config --global init.defaultBranch main
    git config --global user.name Tester
    git config --global user.email tester@example.org
    cd "$BATS_TEST_TMPDIR/work" || return 1
}

# A folder with a Dockerfile that is read from stdin.
context() { # FOLDER
    mkdir -p "$1"
    cat >"$1/Dockerfile"
}

# A small web site: COPY only, on the busybox base.
site_context() { # FOLDER
    context "$1" <<'END'
FROM conformance/busybox:1
COPY site /srv/site
COPY start.sh /start.sh
ENV PORT=8080
EXPOSE 8080
CMD ["/start.sh"]
END
    mkdir -p "$1/site/pages"
    echo "<h1>hello</h1>" >"$1/site/index.html"
    echo "about" >"$1/site/pages/about.html"
    printf '#!/bin/sh\nexec httpd -f\n' >"$1/start.sh"
    chmod 755 "$1/start.sh"
}

# A bare repository below the git server, filled with what a folder holds.
repository() { # NAME FOLDER
    local bare=$BATS_FILE_TMPDIR/repositories/$1.git
    git init --quiet --bare "$bare"
    git -C "$2" init --quiet
    git -C "$2" add --all
    commit "$2" "first"
    git -C "$2" push --quiet "$bare" HEAD:main
}

commit() { # FOLDER MESSAGE
    GIT_AUTHOR_DATE='2024-03-01T10:00:00Z' GIT_COMMITTER_DATE='2024-03-01T10:00:00Z' git -C "$1" commit --quiet --all --message "$2"
}

manifest() { # REFERENCE
    skopeo inspect --raw --tls-verify=false "docker://$1"
}

manifest_digest() { # REFERENCE
    manifest "$1" | sha256sum | sed 's/^\([0-9a-f]*\).*/sha256:\1/'
}

# The image's config document.
image_config() { # REFERENCE
    skopeo inspect --config --raw --tls-verify=false "docker://$1"
}

# What the N-th layer from the end (1: the last) holds, one entry a line, as tar lists it.
layer_listing() { # REFERENCE [N]
    layer_blob "$@" | tar --numeric-owner -tvzf -
}

layer_blob() { # REFERENCE [N]
    local repository=${1#*/} digest
    digest=$(manifest "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["layers"][-int(sys.argv[1])]["digest"])' "${2:-1}")
    curl -sSf --noproxy '*' "http://${1%%/*}/v2/${repository%:*}/blobs/$digest"
}

# The image's files, unpacked by umoci into FOLDER/rootfs.
unpack() { # REFERENCE FOLDER
    skopeo copy --quiet --insecure-policy --src-tls-verify=false "docker://$1" "oci:$2.oci:image"
    umoci unpack --image "$2.oci:image" "$2" >/dev/null
}

# How many requests to the registry match since mark_requests().
mark_requests() {
    wc -l <"$REGISTRY_LOG" >"$BATS_TEST_TMPDIR/mark"
}

requests() { # PATTERN
    tail -n "+$(($(cat "$BATS_TEST_TMPDIR/mark") + 1))" "$REGISTRY_LOG" | grep -cE -- "$1" || true
}

needs_root() {
    if [ "$(id -u)" -ne 0 ]; then
        skip "needs root"
    fi
}

# Runs a command as a user with no rights and no name; the program lies where that user can reach it.
as_nobody() {
    setpriv --reuid 31000 --regid 31000 --clear-groups --inh-caps=-all "$@"
}

# Makes everything of this test the unprivileged user's, and the program reachable.
prepare_nobody() {
    needs_root
    chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
    cp "$SLIPWAY" "$BATS_TEST_TMPDIR/slipway"
    chmod 755 "$BATS_TEST_TMPDIR/slipway"
    SLIPWAY=$BATS_TEST_TMPDIR/slipway
    chown -R 31000:31000 "$BATS_TEST_TMPDIR/work" "$HOME" "$TMPDIR"
    install -d -o 31000 -g 31000 "$SLIPWAY_HOME"
}

# Assertions on what `run` left behind; they show it when they fail.
show() {
    printf 'status %s\n%s\n' "$status" "$output"
}

succeeded() {
    if [ "$status" -ne 0 ]; then
        show
        return 1
    fi
}

failed_with() { # STATUS
    if [ "$status" -ne "$1" ]; then
        echo "expected status $1:"
        show
        return 1
    fi
}

says() { # PATTERN
    if ! grep -qE -- "$1" <<<"$output"; then
        echo "expected a line that matches: $1"
        show
        return 1
    fi
}

says_not() { # PATTERN
    if grep -qE -- "$1" <<<"$output"; then
        echo "expected no line that matches: $1"
        show
        return 1
    fi
}

equal() { # ONE OTHER
    if [ "$1" != "$2" ]; then
        printf 'expected the same:\n%s\n-- and --\n%s\n' "$1" "$2"
        return 1
    fi
}
