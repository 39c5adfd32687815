#!/usr/bin/env bats
# What the deployment reads: imageDetail.json, the task definition and the AppSpec from templates, several images of one
# commit, slipway.json.

load helpers

setup_file() {
    start_registry
    push_bases
    start_git_server
}

teardown_file() {
    stop_git_server
    stop_registry
}

setup() {
    fresh_environment
}

field() { # FILE EXPRESSION
    python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"
}

taskdef() { # FILE IMAGE...
    local file=$1 i=0 list=
    shift
    for image in "$@"; do
        i=$((i + 1))
        list="$list${list:+,}
    {\"name\": \"c$i\", \"image\": \"$image\", \"environment\": [{\"name\": \"TEXT\", \"value\": \"ümlaut\"}]}"
    done
    cat >"$file" <<END
{
  "family": "shop",   "containerDefinitions": [$list
  ]
}
END
}

appspec() { # FILE TASK
    cat >"$1" <<END
version: 0.0   # kept
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: $2
        LoadBalancerInfo: {ContainerName: c1, ContainerPort: 80}
END
}

two_images() { # FOLDER
    mkdir -p "$1"
    printf 'FROM conformance/busybox:1 AS base\nCOPY common /common\nFROM base AS web\nCOPY web.txt /\nFROM base AS api\nCOPY api.txt /\n' >"$1/Dockerfile"
    head -c 300000 /dev/urandom >"$1/common"
    echo web >"$1/web.txt"
    echo api >"$1/api.txt"
    cat >"$1/slipway.json" <<END
{
  "registry": "$REGISTRY",
  "tag": "7",
  "imageUri": "digest",
  "taskdef": "taskdef.json=out/taskdef.json",
  "images": [
    {"repository": "two/web", "target": "web", "container": "c1"},
    {"repository": "two/api", "target": "api", "container": ["c2", "c3"], "placeholder": "API_IMAGE"}
  ]
}
END
    taskdef "$1/taskdef.json" "<IMAGE1_NAME>" "<API_IMAGE>" "example.org/c3:1"
}

@test "deploy: imageDetail.json, task definition and AppSpec come from the commit, by digest" {
    site_context app
    taskdef app/taskdef.json "<IMAGE1_NAME>" "example.org/sidecar:1"
    appspec app/appspec.yaml "<TASK_DEFINITION>"
    repository templates app
    run slipway ship --container c1 --image-detail imageDetail.json --taskdef taskdef.json --appspec appspec.yaml \
        -t "$REGISTRY/templates:1" "$GIT_URL/templates.git"
    succeeded
    local image
    image=$REGISTRY/templates@$(manifest_digest "$REGISTRY/templates:1")
    equal "$(cat imageDetail.json)" "{\"ImageURI\":\"$image\"}"
    equal "$(cat taskdef.json)" "$(sed "s|<IMAGE1_NAME>|$image|" app/taskdef.json)"
    equal "$(cat appspec.yaml)" "$(cat app/appspec.yaml)"
    equal "$(field imagedefinitions.json 'd[0]["imageUri"]')" "$REGISTRY/templates:1"
}

@test "deploy: TASKDEF_FILE names the template; a container without placeholder is found by its name" {
    site_context app
    taskdef app/taskdef.json "example.org/old:1" "example.org/sidecar:1"
    mkdir result
    (cd result && TASKDEF_FILE=taskdef.json CONTAINER_NAME=c1 slipway ship -t "$REGISTRY/by-name:1" ../app)
    equal "$(field result/taskdef.json 'd["containerDefinitions"][0]["image"]')" \
        "$REGISTRY/by-name@$(manifest_digest "$REGISTRY/by-name:1")"
    equal "$(field result/taskdef.json 'd["containerDefinitions"][1]["image"]')" "example.org/sidecar:1"
}

@test "deploy: blue/green alone needs no container and writes no imagedefinitions.json" {
    site_context app
    run slipway ship --image-detail imageDetail.json -t "$REGISTRY/blue:1" app
    succeeded
    [ -e imageDetail.json ]
    [ ! -e imagedefinitions.json ]
}

@test "deploy: --placeholder fills others, escaped" {
    site_context app
    taskdef app/taskdef.json "<IMAGE1_NAME>" "<SIDE_IMAGE>"
    sed -i 's/ümlaut/<GREETING>/' app/taskdef.json
    slipway ship --container c1 --taskdef taskdef.json --placeholder SIDE_IMAGE=example.org/side:2 \
        --placeholder 'GREETING=say "hi" \ there' -t "$REGISTRY/values:1" app
    equal "$(field taskdef.json 'd["containerDefinitions"][1]["image"]')" "example.org/side:2"
    equal "$(field taskdef.json 'd["containerDefinitions"][0]["environment"][0]["value"]')" 'say "hi" \ there'
}

@test "deploy: what is wrong with a template is told with its place before anything is built" {
    site_context app
    mark_requests
    taskdef app/taskdef.json "<NOBODY>"
    run slipway ship --image-detail imageDetail.json --taskdef taskdef.json -t "$REGISTRY/wrong:1" app
    failed_with 2
    says 'taskdef.json:3:[0-9]+: .*<NOBODY>'
    printf '{"family": "x",\n}' >app/taskdef.json
    run slipway ship --container c1 --taskdef taskdef.json -t "$REGISTRY/wrong:1" app
    failed_with 2
    says 'taskdef.json:2:.*not JSON'
    appspec app/appspec.yaml arn:aws:ecs:something
    run slipway ship --container c1 --appspec appspec.yaml -t "$REGISTRY/wrong:1" app
    failed_with 2
    says 'appspec.yaml:6:25: .*<TASK_DEFINITION>'
    run slipway ship --container c1 --taskdef missing.json -t "$REGISTRY/wrong:1" app
    failed_with 2
    says 'missing.json.*not in the build context'
    equal "$(requests .)" 0
    [ ! -e imagedefinitions.json ]
}

@test "deploy: a registry that refuses leaves all files as they were" {
    site_context app
    taskdef app/taskdef.json "<IMAGE1_NAME>"
    local name state=$BATS_TEST_TMPDIR/read-only port
    for name in imagedefinitions.json imageDetail.json taskdef.json; do
        echo before >$name
    done
    port=$("$fixtures/registry" start "$state" --read-only)
    run slipway ship --container c1 --image-detail imageDetail.json --taskdef taskdef.json -t "127.0.0.1:$port/refused:1" app
    "$fixtures/registry" stop "$state"
    failed_with 4
    for name in imagedefinitions.json imageDetail.json taskdef.json; do
        equal "$(cat $name)" before
    done
}

@test "deploy: slipway.json: two images of one commit, one imagedefinitions.json, what they share is made once" {
    two_images app
    repository two app
    run slipway ship --progress=plain "$GIT_URL/two.git"
    succeeded
    local web api
    web=$REGISTRY/two/web@$(manifest_digest "$REGISTRY/two/web:7")
    api=$REGISTRY/two/api@$(manifest_digest "$REGISTRY/two/api:7")
    equal "$(field imagedefinitions.json '[(i["name"], i["imageUri"]) for i in d]')" "[('c1', '$web'), ('c2', '$api'), ('c3', '$api')]"
    equal "$(field out/taskdef.json '[c["image"] for c in d["containerDefinitions"]]')" "['$web', '$api', '$api']"
    says '\[c1 .*COPY web.txt'
    says '\[c2 .*COPY api.txt'
    # The layer of COPY common is one blob, whichever build made it.
    equal "$(manifest "$REGISTRY/two/web:7" | python3 -c 'import json,sys; print(json.load(sys.stdin)["layers"][-2]["digest"])')" \
        "$(manifest "$REGISTRY/two/api:7" | python3 -c 'import json,sys; print(json.load(sys.stdin)["layers"][-2]["digest"])')"
}

@test "deploy: an expensive RUN that two images share runs once" {
    needs_root
    mkdir app
    printf 'FROM conformance/busybox:1 AS base\nRUN sleep 1; cat /proc/sys/kernel/random/uuid > /once\nFROM base AS a\nCOPY Dockerfile /a\nFROM base AS b\nCOPY Dockerfile /b\n' >app/Dockerfile
    run slipway ship --image "repository=$REGISTRY/once/a,target=a,container=a" \
        --image "repository=$REGISTRY/once/b,target=b,container=b" app
    succeeded
    unpack "$REGISTRY/once/a:latest" a
    unpack "$REGISTRY/once/b:latest" b
    equal "$(cat a/rootfs/once)" "$(cat b/rootfs/once)"
}

@test "deploy: images with folders of their own" {
    mkdir -p app/web app/api
    printf 'FROM scratch\nCOPY file /\n' | tee app/web/Dockerfile >app/api/Dockerfile.prod
    echo web >app/web/file
    echo api >app/api/file
    cat >app/slipway.json <<END
{"registry": "$REGISTRY", "images": [
  {"name": "web", "context": "web", "repository": "own/web", "container": "web"},
  {"name": "api", "context": "api", "dockerfile": "Dockerfile.prod", "repository": "own/api:3", "container": "api"}]}
END
    repository own app
    slipway ship app
    unpack "$REGISTRY/own/api:3" api
    equal "$(cat api/rootfs/file)" api
    local folder
    folder=$(manifest_digest "$REGISTRY/own/api:3")
    slipway ship "$GIT_URL/own.git"
    equal "$(manifest_digest "$REGISTRY/own/api:3")" "$folder"
    unpack "$REGISTRY/own/web:latest" web
    equal "$(cat web/rootfs/file)" web
}

@test "deploy: one image that fails: no file is written, and the error is its" {
    two_images app
    sed -i 's/COPY api.txt/COPY missing.txt/' app/Dockerfile
    run slipway ship app
    failed_with 1
    says 'missing.txt'
    [ ! -e imagedefinitions.json ]
    [ ! -e out ]
}

@test "slipway.json: errors have a place and name what was meant" {
    site_context app
    printf '{\n  "images": [\n    {"repositry": "x"}\n  ]\n}\n' >app/slipway.json
    run slipway ship app
    failed_with 2
    says 'app/?.*slipway.json:3:6: .*"repositry".*did you mean "repository"' || says 'slipway.json:3:6: .*"repositry".*did you mean "repository"'
    printf '{\n  "images": [\n    {"repository": "x", "container": 7}\n  ]\n}\n' >app/slipway.json
    run slipway ship app
    failed_with 2
    says 'slipway.json:3:38: .*"container"'
    printf '{"images": [{"container": "web"}]}' >app/slipway.json
    run slipway ship app
    failed_with 2
    says '"repository" is missing'
    printf '{"images": [{"repository": "x"}]' >app/slipway.json
    run slipway ship app
    failed_with 2
    says 'slipway.json:1:.*not JSON'
}

@test "slipway.json: the command line counts before it" {
    two_images app
    run slipway ship --progress=plain --container only -t "$REGISTRY/only:1" app
    succeeded
    says 'slipway.json is not read: --tag'
    equal "$(field imagedefinitions.json '[i["name"] for i in d]')" "['only']"
    run slipway ship --container only --config slipway.json -t "$REGISTRY/only:1" app
    failed_with 2
    CONTAINER_NAME=x run slipway ship --config none app
    failed_with 2
    says 'needs a name'
}

@test "deploy: two images of one name or one container are an error" {
    site_context app
    run slipway ship --image "repository=$REGISTRY/a,container=web" --image "repository=$REGISTRY/b,container=web,name=b" app
    failed_with 2
    says "'web' is given twice"
    run slipway ship --image "repository=$REGISTRY/a,container=web" --image "repository=$REGISTRY/a,container=api" app
    failed_with 2
    says 'would both be pushed'
    run slipway ship --image "repository=$REGISTRY/a,contaner=web" app
    failed_with 2
    says "did you mean 'container'"
}

@test "init: a slipway.json that ship takes, and what it was concluded from" {
    site_context app
    taskdef app/taskdef.json "<IMAGE1_NAME>" "example.org/sidecar:1"
    appspec app/appspec.yaml "<TASK_DEFINITION>"
    printf 'version: 0.2\nenv:\n  variables:\n    IMAGE_REPO_NAME: begun\n' >app/buildspec.yml
    run slipway init app
    succeeded
    says 'wrote app/slipway.json'
    says "taskdef.json:3: container 'c1' gets the image of Dockerfile"
    says "taskdef.json:4: container 'c2' keeps its image"
    says "buildspec.yml:4: .*repository 'begun'"
    says 'still open: the registry'
    equal "$(field app/slipway.json 'd["images"]')" \
        "[{'repository': 'begun', 'container': 'c1', 'imageDetail': 'imageDetail.json'}]"
    AWS_ACCOUNT_ID=none run slipway ship app
    failed_with 2
    says 'which registry'
    sed -i "1s|{|{\"registry\": \"$REGISTRY\",|" app/slipway.json
    slipway ship app
    equal "$(field imageDetail.json 'd["ImageURI"]')" "$REGISTRY/begun@$(manifest_digest "$REGISTRY/begun:latest")"
}

@test "init: does not overwrite without --force, and needs a Dockerfile" {
    site_context app
    echo mine >app/slipway.json
    run slipway init app
    failed_with 2
    says '\-\-force'
    equal "$(cat app/slipway.json)" mine
    run slipway init -o - app
    succeeded
    says '"images"'
    equal "$(cat app/slipway.json)" mine
    slipway init --force app
    field app/slipway.json 'd["images"][0]["repository"]'
    mkdir empty
    run slipway init empty
    failed_with 2
    says 'no Dockerfile'
}

@test "init: several Dockerfiles find their containers by name" {
    mkdir -p app/web app/jobs
    echo 'FROM scratch' | tee app/web/Dockerfile >app/jobs/jobs.Dockerfile
    echo '{"family": "x", "containerDefinitions": [{"name": "web", "image": "<WEB>"}, {"name": "jobs", "image": "1.dkr.ecr.eu-west-1.amazonaws.com/team/jobs:1"}]}' >app/taskdef.json
    run slipway init -o - app
    succeeded
    slipway init app
    equal "$(field app/slipway.json 'sorted((i["container"], i["repository"], i.get("dockerfile"), i["context"]) for i in d["images"])')" \
        "[('jobs', 'team/jobs', 'jobs.Dockerfile', 'jobs'), ('web', 'app/web', None, 'web')]"
    equal "$(field app/slipway.json 'd["registry"]')" 1.dkr.ecr.eu-west-1.amazonaws.com
    equal "$(field app/slipway.json '[i.get("placeholder") for i in d["images"]]')" "[None, 'WEB']"
}

@test "check: five planted contradictions, each with both sides; the exit status is 1" {
    cp -r "$top/tests/deploy/contradictions/five" app
    run slipway check --offline app
    failed_with 1
    says '^app/appspec.yaml:9:26: error: .*port 8000 .*\[port-differs\]'
    says '^    app/taskdef.json:13:27: containerPort 8080'
    says "^app/buildspec.yml:4:21: error: .*container 'web'.*\[container-unknown\]"
    says '^    app/taskdef.json:10:15: its containers: website'
    says "^app/buildspec.yml:18:11: error: .*'appspec.yml'.*\[artifact-unwritten\]"
    says '^app/taskdef.json:7:13: error: .*memory 4096 with cpu 256.*\[fargate-size\]'
    says '^    app/taskdef.json:6:10: cpu 256'
    says '^app/taskdef.json:13:45: error: hostPort 80 and containerPort 8080.*\[host-port\]'
    says "^the deployment's files: 5 errors, 0 warnings, 0 notes"
    cd app
    run slipway check --offline
    failed_with 1
    says '^taskdef.json:7:13: error'
}

@test "check: the same of a commit, and as JSON" {
    cp -r "$top/tests/deploy/contradictions/five" app
    repository five app
    slipway check "$GIT_URL/five.git" >text || [ $? -eq 1 ]
    grep -q '^taskdef.json:7:13: error' text
    slipway check --json app >check.json || [ $? -eq 1 ]
    equal "$(field check.json 'len(d["deployment"]), d["deployment"][0]["level"], d["deployment"][0]["places"][0]["line"]')" \
        "(5, 'error', 9)"
    equal "$(field check.json 'd["sources"][0]["filename"]')" app/Dockerfile
}

@test "check: files that agree are a success, and the environment's container counts" {
    cp -r "$top/tests/deploy/contradictions/clean" app
    printf 'FROM scratch\nEXPOSE 8080\n' >app/Dockerfile
    run slipway check app
    succeeded
    says "the deployment's files agree"
    sed -i '/CONTAINER_NAME/d' app/buildspec.yml
    CONTAINER_NAME=other run slipway check app
    failed_with 1
    says "environment \(CONTAINER_NAME\)"
}

@test "check: every Dockerfile that slipway.json names is judged" {
    mkdir -p app/web app/api
    printf 'FROM scratch\nCMD run me\n' | tee app/web/Dockerfile >app/api/Dockerfile
    echo '{"images": [{"repository": "a", "context": "web"}, {"repository": "b", "context": "api"}]}' >app/slipway.json
    run slipway check app
    failed_with 1
    says '^app/web/Dockerfile:2:5: JSONArgsRecommended'
    says '^app/api/Dockerfile:2:5: JSONArgsRecommended'
    slipway check --json app >check.json || [ $? -eq 1 ]
    equal "$(field check.json '[(w["ruleName"], w["location"].get("sourceIndex", 0)) for w in d["warnings"]]')" \
        "[('JSONArgsRecommended', 0), ('JSONArgsRecommended', 1)]"
    rm app/api/Dockerfile
    run slipway check app
    [ "$status" -ne 0 ]
    says "dockerfile-missing"
}

@test "slipway.json: what a repository says is written below this folder only" {
    two_images app
    ln -s "$HOME" out
    mark_requests
    run slipway ship app
    failed_with 2
    says "'out' is a link"
    equal "$(requests .)" 0
    equal "$(ls "$HOME")" ""
    ln -s /etc app/outside
    echo '{"images": [{"repository": "a", "context": "outside"}]}' >app/slipway.json
    AWS_ACCOUNT_ID=1 AWS_DEFAULT_REGION=x run slipway ship app
    [ "$status" -ne 0 ]
    [ "$status" -ne 4 ]
}

@test "deploy: a template of this machine, where the context has none" {
    site_context app
    taskdef mine.json "<IMAGE1_NAME>"
    slipway ship --container c1 --taskdef mine.json=filled.json -t "$REGISTRY/mine:1" app
    equal "$(field filled.json 'd["containerDefinitions"][0]["image"]')" "$REGISTRY/mine@$(manifest_digest "$REGISTRY/mine:1")"
}

@test "deploy: a template that is replaced by its result is told of, and can be filled again" {
    site_context app
    taskdef app/taskdef.json "<IMAGE1_NAME>"
    cd app
    run slipway ship --progress=plain --container c1 --taskdef taskdef.json -t "$REGISTRY/place:1" .
    succeeded
    says 'the template is replaced'
    echo more >>start.sh
    slipway ship --container c1 --taskdef taskdef.json -t "$REGISTRY/place:2" .
    equal "$(field taskdef.json 'd["containerDefinitions"][0]["image"]')" "$REGISTRY/place@$(manifest_digest "$REGISTRY/place:2")"
}
