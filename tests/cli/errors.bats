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
    says "iidfile: open 'missing/folder/id': No such file"
    # What can be told before the build is.
    printf 'FROM scratch\nCOPY nowhere /\n' >app/Dockerfile.wrong
    touch file
    local target
    for target in --iidfile=missing/id --digest-file=app --metadata-file=file/x --output=type=oci,dest=missing/x.tar \
        --output=type=tar,dest=app --output=type=local,dest=file --output=file/x/y --output=type=oci,tar=false,dest=file; do
        run slipway build -q -f app/Dockerfile.wrong "$target" app
        failed_with 5
        says "^slipway: --(iidfile|digest-file|metadata-file|output): open '[^']*': "
    done
    run slipway build -q -o type=oci,dest= app
    failed_with 2
    says 'name is empty'
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

# The first line of the error, and what the caret underlines, of a Dockerfile FROM scratch with these further lines.
refused() { # STATUS MESSAGE UNDERLINED LINE...
    local status_wanted=$1 message=$2 word=$3 row marks
    shift 3
    printf '%s\n' 'FROM scratch' "$@" >app/Dockerfile
    run slipway build -q --offline app
    failed_with "$status_wanted"
    equal "${lines[0]#slipway: app/Dockerfile:*:*: }" "$message"
    row=${lines[1]:8} marks=${lines[2]:8}
    equal "${row:$((${#marks} - ${#word})):${#word}}" "$word"
    equal "$(tr -d ' ' <<<"$marks" | wc -c)" "$((${#word} + 1))"
}

@test "errors: a missing source, with the nearest name or the line that took it out" {
    mkdir -p app/src/app
    touch app/src/app/main.c app/private.key
    printf '# keys\n*.key\n' >app/.dockerignore
    refused 1 "COPY src/ap: not in the build context, did you mean src/app?" src/ap 'COPY src src/ap /x/'
    refused 1 "ADD /src/app/mian.c: not in the build context, did you mean /src/app/main.c?" /src/app/mian.c \
        'ADD /src/app/mian.c /x'
    refused 1 "COPY private.key: not in the build context (excluded by .dockerignore line 2: *.key)" private.key \
        'COPY src private.key /x/'
    refused 1 "COPY other.key: not in the build context" other.key 'COPY other.key /x/'
    refused 1 "COPY /scr: not in stage 'build', did you mean /src?" /scr 'COPY src /src' 'FROM scratch AS next' \
        'COPY src /src' 'FROM scratch AS build' 'COPY src /src' 'FROM scratch' 'COPY --from=build /scr /x'
}

@test "errors: a stage that is not there, with the nearest one" {
    printf '%s\n' 'FROM scratch AS builder' 'FROM scratch' 'COPY --from=biulder /a /b' >app/Dockerfile
    run slipway build -q --offline app
    says "^slipway: app/Dockerfile:3:6: COPY --from=biulder: no stage 'biulder', did you mean 'builder'\?"
    printf '%s\n' 'FROM scratch AS builder' 'FROM biulder' >app/Dockerfile
    run slipway build -q --offline app
    says "^slipway: app/Dockerfile:2:6: no stage 'biulder', did you mean 'builder'\?"
    refused 2 'COPY --from=$X: no variables here; write FROM $X AS NAME and use that name' '--from=$X' 'COPY --from=$X a b'
}

@test "errors: the word that is wrong is underlined" {
    refused 2 'ENV ${D:?needed}: D: needed' '${D:?needed}' 'ENV A=$D B=${D:?needed}'
    refused 2 'EXPOSE 99999: not a port between 0 and 65535' 99999 'EXPOSE 80 99999 90'
    refused 2 'EXPOSE 1-65535: a stage names at most 1048576 ports' 1-65535 "EXPOSE$(printf ' 1-65535%.0s' $(seq 20))"
    refused 2 'STOPSIGNAL SIGFOO: no such signal' SIGFOO 'STOPSIGNAL SIGFOO'
    refused 2 "COPY --chmod: mode '799': '9' is no octal digit" --chmod=799 'COPY --chmod=799 . /'
    refused 2 "COPY --exclude: bad pattern '[': '[' without ']'" '--exclude=[' 'COPY --exclude=a --exclude=[ . /'
    refused 2 "COPY --chown: 'nobody' cannot be looked up where there are no files; write numbers" --chown=nobody 'COPY --chown=nobody . /'
    refused 2 "COPY --chown: 'nobody' cannot be looked up, as a layer of --link does not know the image; write numbers, or leave --link out" \
        --chown=nobody 'COPY . /' 'COPY --link --chown=nobody . /'
    refused 2 'VOLUME: a path is empty' '${U}' 'VOLUME ["/a", "${U}"]'
    refused 1 'RUN --mount=type=bind,source=Dockerfiel,target=/x: source Dockerfiel: not in the build context, did you mean Dockerfile?' \
        --mount=type=bind,source=Dockerfiel,target=/x 'RUN --mount=type=bind,source=Dockerfiel,target=/x true'
}

@test "ONBUILD: what is wrong with a trigger is said where it is written, and again where it is triggered" {
    context app <<'END'
FROM scratch AS base
ONBUILD USER nobody
ONBUILD   COPY --form=x \
          a b
END
    run slipway build -t triggers:1 app
    succeeded
    says 'app/Dockerfile:3: ONBUILD: COPY --form=x: no flag --form, did you mean --from'
    printf 'FROM base\n' >>app/Dockerfile
    run slipway build app
    failed_with 2
    says "^slipway: app/Dockerfile:3:16: ONBUILD of 'base', triggered by FROM in line 5: COPY --form=x: no flag"
    sed -i 's/--form=x /  /; s/ a b/ nothere b/' app/Dockerfile
    run slipway build app
    failed_with 1
    says "^slipway: app/Dockerfile:4:11: ONBUILD of 'base', triggered by FROM in line 5: COPY nothere: not in"
    context other <<'END'
FROM scratch
FROM --platform=linux/amd64 triggers:1
END
    run slipway build other
    failed_with 2
    says "^slipway: other/Dockerfile:2:29: trigger 'COPY --form=x *a b' of the base 'triggers:1': COPY --form=x: no flag"
    while read -r word; do
        printf 'FROM scratch\nONBUILD  %s x y\n' "$word" >app/Dockerfile
        run slipway build app
        failed_with 2
        says "^slipway: app/Dockerfile:2:10: ONBUILD $word: $word cannot be a trigger"
    done <<'END'
FROM
ONBUILD
MAINTAINER
END
}
