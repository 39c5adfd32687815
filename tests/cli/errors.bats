#!/usr/bin/env bats
# Errors as people see them.

load helpers

setup() {
    fresh_environment
    mkdir app
}

@test "errors: a wrong Dockerfile is shown with its line and a caret under the word" {
    printf 'FROM scratch\n\tCOPY --form=build a /a\n' >app/Dockerfile
    run slipway build -q app
    failed_with 2
    equal "${lines[0]}" "slipway: app/Dockerfile:2:7: COPY --form=build: no flag --form, did you mean --from?"
    equal "${lines[1]}" "    2 |  COPY --form=build a /a"
    says '^      \|       \^~+$'
}

@test "errors: the line shown is the one that was built, wherever the Dockerfile lies" {
    printf 'FROM scratch\nCOYP a b\n' >app/Dockerfile
    printf 'another\nfile of this name\n' >Dockerfile
    git -C app init -q
    git -C app add --all
    git -C app commit -qm one
    tar -C app -cf app.tar Dockerfile
    local source
    for source in "file://$PWD/app" app.tar app "-f app/Dockerfile ."; do
        # shellcheck disable=SC2086
        run slipway build -q $source
        failed_with 2
        says '^    2 \| COYP a b$'
    done
    run slipway build -q - <app.tar
    says '^    2 \| COYP a b$'
}

@test "errors: a Dockerfile that is not there is named" {
    run slipway build -q app
    failed_with 2
    says '^slipway: no Dockerfile in app'
    run slipway build -q -f app/missing app
    failed_with 2
    says 'app/missing'
    run slipway build -q nowhere
    failed_with 2
    says 'nowhere'
}

@test "errors: escape sequences in a Dockerfile do not reach the terminal" {
    printf 'FROM scratch\nCOYP \033[2Ja \033]0;title\007b\n' >app/Dockerfile
    run slipway build -q app
    failed_with 2
    equal "$(tr -d '[:print:]\n' <<<"$output" | wc -c)" 0
}

@test "errors: a very long line is cut around the caret" {
    {
        printf 'FROM scratch\nCOPY --chown='
        printf 'a%.0s' $(seq 1 3000)
        printf ' --form=build a /\n'
    } >app/Dockerfile
    run slipway build -q app
    failed_with 2
    local line
    for line in "${lines[@]:1}"; do
        [ "${#line}" -le 140 ]
    done
}

@test "errors: an image that the store lacks, with the one that may have been meant" {
    printf 'FROM scratch\nCOPY Dockerfile /\n' >app/Dockerfile
    slipway build -q -t website:1 app
    run slipway inspect websiet:1
    failed_with 2
    says 'websiet:1: no such image in the store, did you mean website:1\?'
    run slipway push nothing/like/it:1
    failed_with 2
    says "nothing/like/it:1: no such image"
}

@test "errors: a result that cannot be written" {
    printf 'FROM scratch\nCOPY Dockerfile /\n' >app/Dockerfile
    run slipway build -q --iidfile missing/folder/id app
    failed_with 5
    says 'iidfile: .*missing/folder/id'
    run slipway build -q -o type=oci,dest=/dev/full app
    failed_with 5
    says 'No space left'
    run slipway images --format '{{.Tag | upper}}'
    [ "$status" -ne 0 ]
}

@test "errors: standard output that cannot be written" {
    run bash -c "'$SLIPWAY' --help >/dev/full"
    failed_with 5
    says 'standard output'
}
