#!/usr/bin/env bats
# ADD of git repositories: what a .git that is kept holds by git's own word, and the query of URLs.

bats_require_minimum_version 1.5.0
load helpers

# One repository for all: two commits on main, an annotated tag "v1" and a plain one "light" at the first, a branch "old/one", a
# submodule of a submodule below lib/.
setup_file() {
    start_git_server
    mkdir "$BATS_FILE_TMPDIR/made"
    cd "$BATS_FILE_TMPDIR/made" || return
    export GIT_AUTHOR_DATE='2024-03-01T10:00:00Z' GIT_COMMITTER_DATE='2024-03-01T10:00:00Z'
    mkdir -p inner middle main/src/deep main/bin
    echo leaf >inner/leaf
    repository inner inner
    git -C "$BATS_FILE_TMPDIR/repositories/inner.git" symbolic-ref HEAD refs/heads/main
    echo middle >middle/file
    git -C middle init --quiet
    git -C middle -c protocol.allow=always submodule --quiet add "$GIT_URL/inner.git" sub
    repository middle middle
    git -C "$BATS_FILE_TMPDIR/repositories/middle.git" symbolic-ref HEAD refs/heads/main
    echo one >main/file
    echo x >main/src/deep/x
    echo x >main/src.d
    printf '#!/bin/sh\n' >main/bin/run
    chmod 755 main/bin/run
    ln -s ../file main/bin/link
    repository main main
    git -C main tag --annotate --message v1 v1
    git -C main tag light
    git -C main branch old/one
    echo two >main/file
    commit main second
    git -C main push --quiet "$BATS_FILE_TMPDIR/repositories/main.git" HEAD:main v1 light old/one
    git -C main -c protocol.allow=always submodule --quiet add --name odd/name "$GIT_URL/middle.git" lib/middle
    commit main third
    git -C main push --quiet "$BATS_FILE_TMPDIR/repositories/main.git" HEAD:modules
    git -C "$BATS_FILE_TMPDIR/repositories/main.git" symbolic-ref HEAD refs/heads/main
    MAIN=$(git -C main rev-parse HEAD~1)
    FIRST=$(git -C main rev-parse HEAD~2)
    TAG=$(git -C main rev-parse refs/tags/v1)
    export MAIN FIRST TAG
}

teardown_file() {
    stop_git_server
}

setup() {
    fresh_environment
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
}

# What "ADD FLAGS SOURCE /src" makes, in the folder out/src.
added() {
    context app <<END
FROM scratch
ADD $* /src
END
    rm -rf out
    run slipway build -q -o type=local,dest=out app
    succeeded
}

@test "keep-git-dir: git itself finds one sound commit, a clean work tree and the URL" {
    added --keep-git-dir "$GIT_URL/main.git#main"
    cd out/src
    equal "$(git status --porcelain=v1 --branch)" '## HEAD (no branch)'
    equal "$(git rev-parse HEAD)" "$MAIN"
    equal "$(git log --format=%H)" "$MAIN"
    equal "$(git rev-parse --is-shallow-repository)" true
    equal "$(git for-each-ref)" "$MAIN commit	refs/heads/main"
    equal "$(git remote get-url origin)" "$GIT_URL/main.git"
    git fsck --strict
    git verify-pack .git/objects/pack/*.idx
    equal "$(git rev-list --objects --all | wc -l)" "$(git count-objects -v | sed -n 's/^in-pack: //p')"
    [ ! -e .git/FETCH_HEAD ]
    [ ! -e .git/logs ]
    equal "$(stat -c %a .git/objects/pack/*.pack .git/HEAD .git | sort -u | xargs)" '444 644 755'
    echo three >file
    rm bin/link
    equal "$(git status --porcelain=v1)" ' D bin/link
 M file'
    git fetch --quiet --unshallow origin main
    equal "$(git log --format=%H | wc -l)" 2
}

@test "keep-git-dir: tags, branches with slashes, commit ids and no ref at all" {
    added --keep-git-dir "$GIT_URL/main.git#v1"
    equal "$(git -C out/src for-each-ref)" "$TAG tag	refs/tags/v1"
    equal "$(git -C out/src describe)" v1
    [ ! -e out/src/.git/shallow ]
    git -C out/src fsck --strict
    added --keep-git-dir "$GIT_URL/main.git#light"
    equal "$(git -C out/src for-each-ref)" "$FIRST commit	refs/tags/light"
    added --keep-git-dir "$GIT_URL/main.git#old/one"
    equal "$(git -C out/src for-each-ref)" "$FIRST commit	refs/heads/old/one"
    added --keep-git-dir "$GIT_URL/main.git#$MAIN"
    equal "$(git -C out/src for-each-ref)" ''
    equal "$(git -C out/src status --porcelain=v1; git -C out/src log --format=%H)" "$MAIN"
    added --keep-git-dir "$GIT_URL/main.git"
    equal "$(git -C out/src for-each-ref)" "$MAIN commit	refs/heads/main"
}

@test "keep-git-dir: the same commit gives the same layer, whatever was fetched before" {
    context app <<END
FROM scratch
ADD --keep-git-dir $GIT_URL/main.git#main /src
END
    run --separate-stderr slipway build -q app
    first=$output
    export SLIPWAY_HOME=$BATS_TEST_TMPDIR/another
    run slipway build -q - <<END
FROM scratch
ADD $GIT_URL/main.git#modules /src
END
    succeeded
    for mirror in "$SLIPWAY_HOME"/git/*; do
        git -C "$mirror" repack -qad
    done
    TZ=Asia/Tokyo run --separate-stderr slipway build -q app
    succeeded
    equal "$output" "$first"
    run --separate-stderr slipway build -q - <<<"$(cat app/Dockerfile)"
    equal "$output" "$first"
    run slipway build app
    says '#1 CACHED layer'
}

@test "keep-git-dir: submodules have their own, below .git/modules" {
    added --keep-git-dir "$GIT_URL/main.git#modules"
    cd out/src
    equal "$(git status --porcelain=v1)" ''
    equal "$(git submodule status --recursive | sed 's/[0-9a-f]\{40\}//; s/ (.*//')" '  lib/middle
  lib/middle/sub'
    equal "$(cat lib/middle/.git)" 'gitdir: ../../.git/modules/odd/name'
    equal "$(git -C lib/middle remote get-url origin)" "$GIT_URL/middle.git"
    equal "$(git -C lib/middle/sub rev-parse --show-toplevel)" "$PWD/lib/middle/sub"
    git -C lib/middle/sub fsck --strict
    git submodule --quiet update --recursive
}

@test "keep-git-dir: a folder alone has none; a query may ask for it, or against it" {
    context app <<END
FROM scratch
ADD --keep-git-dir $GIT_URL/main.git#main:src /src
END
    run slipway build -o type=local,dest=out app
    succeeded
    says "of the folder 'src' alone no .git is kept"
    equal "$(find out/src -type f)" out/src/deep/x
    added "$GIT_URL/main.git?keep-git-dir=1&ref=main"
    equal "$(git -C out/src rev-parse HEAD)" "$MAIN"
    sed -i 's/^ADD.*/ADD --keep-git-dir '"${GIT_URL//\//\\/}"'\/main.git?keep-git-dir=0 \/src/' app/Dockerfile
    run slipway build app
    failed_with 2
    says 'Dockerfile:2:.*--keep-git-dir and keep-git-dir=false'
    rm -rf out
    printf 'FROM scratch\nCOPY . /\n' >df
    run slipway build -q -f df -o type=local,dest=out --build-arg BUILDKIT_CONTEXT_KEEP_GIT_DIR=1 "$GIT_URL/main.git#main"
    succeeded
    equal "$(git -C out status --porcelain=v1; git -C out rev-parse HEAD)" "$MAIN"
}

@test "keep-git-dir: no credentials get in" {
    host=127.0.0.1:$("$fixtures/git-server" start guarded "$BATS_FILE_TMPDIR/repositories" --user someone:secretword)
    added --keep-git-dir "http://someone:secretword@$host/main.git"
    "$fixtures/git-server" stop guarded
    run grep -r -e secretword -e someone out/src
    failed_with 1
    equal "$(git -C out/src remote get-url origin)" "http://$host/main.git"
}

@test "the query of a git URL: branch, tag, subdir, submodules, mtime" {
    added "$GIT_URL/main.git?tag=v1"
    equal "$(cat out/src/file)" one
    added "$GIT_URL/main.git?branch=main&subdir=src"
    equal "$(find out/src -type f)" out/src/deep/x
    added "$GIT_URL/main.git?submodules=false#modules"
    equal "$(ls -A out/src/lib/middle)" ''
    added "$GIT_URL/main.git?fetch-by-commit=true&keep-git-dir=true&branch=named&commit=$FIRST"
    equal "$(git -C out/src for-each-ref)" "$FIRST commit	refs/heads/named"
    while read -r query words; do
        printf 'FROM scratch\nADD %s/main.git?%s /src\n' "$GIT_URL" "$query" >app/Dockerfile
        run slipway build app
        failed_with 2
        says "Dockerfile:2:.*$words"
    done <<'END'
branches=main unexpected query 'branches', did you mean 'branch'
ref= query 'ref' has no value
ref=a&ref=b query 'ref' has multiple values
ref=main#v1 ref conflicts: 'v1' and 'main'
tag=v1&branch=main branch conflicts with tag
keep-git-dir=maybe invalid keep-git-dir value: 'maybe'
mtime=now invalid mtime value: 'now'
fetch-by-commit fetch-by-commit needs a whole commit id
END
}

@test "ADD --checksum of git: the commit's id or the tag's, whole or its beginning" {
    added "--checksum=$MAIN" "$GIT_URL/main.git#main"
    added "--checksum=${TAG:0:12}" "$GIT_URL/main.git#v1"
    added "--checksum=${FIRST:0:12}" "$GIT_URL/main.git#v1"
    added "$GIT_URL/main.git?checksum=$MAIN#main"
    sed -i "s/^ADD.*/ADD --checksum=$FIRST ${GIT_URL//\//\\/}\/main.git#main \/src/" app/Dockerfile
    run slipway build app
    failed_with 1
    says "Dockerfile:2:.*expected checksum to match $FIRST, got $MAIN"
    sed -i "s/--checksum=[0-9a-f]*/--checksum=sha256:$FIRST/" app/Dockerfile
    run slipway build app
    failed_with 2
    says 'Dockerfile:2:.*invalid checksum'
}
