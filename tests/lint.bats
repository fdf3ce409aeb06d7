#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# lint. Each check is shown one file that it must find something in, and the same file put right.
load helper

# A project of a few files that lint has nothing to say about.
project() {
    mkdir -p tests bin lib/stream examples/x/data
    cp "$ROOT/tests/lint" tests/lint
    cp "$ROOT/.clang-format" "$ROOT/.shellcheckrc" .
    printf '/* SPDX-License-Identifier: Apache-2.0 */\nint f(void);\nint\nf(void)\n{\n    return 0;\n}\n' >lib/stream/f.c
    printf '/* SPDX-License-Identifier: Apache-2.0 */\nint\nmain(void)\n{\n    return 0;\n}\n' >bin/x.c
    printf '.\\" SPDX-License-Identifier: Apache-2.0\n.Dd January 1, 2026\n.Dt X 1\n.Os\n.Sh NAME\n.Nm x\n.Nd do\n' >bin/x.1
    # shellcheck disable=SC2016
    printf '# SPDX-License-Identifier: Apache-2.0\n@test "x: works" {\n    x\n}\n' >tests/x.bats
    printf '#!/usr/bin/env bash\n# SPDX-License-Identifier: Apache-2.0\necho "$1"\n' >tests/tool
    chmod +x tests/tool
}

# finds CHECK WHAT: this check alone is not content, and its output has WHAT.
finds() {
    run -1 tests/lint "$1"
    [[ $output == *"$2"* ]] || { echo "$output"; return 1; }
    [[ $output == *"lint: $1: not clean"* ]]
}

@test "lint: a clean project is clean" {
    project
    run -0 tests/lint
    [ "$output" = "lint: clean" ]
}

@test "lint: shell: a fault in an executable without a suffix, and in a bats file" {
    project
    echo 'echo $1' >>tests/tool
    finds shell SC2086
    project
    sed -i 's/^    x/    cd $x/' tests/x.bats
    finds shell SC2086
}

@test "lint: format: a badly indented line" {
    project
    sed -i 's/    return/  return/' lib/stream/f.c
    finds format 'f.c:5'
}

@test "lint: compiler: a warning of gcc, and one of clang alone" {
    project
    sed -i 's/return 0/return 0L + 1.5/' lib/stream/f.c
    finds compiler 'float-conversion'
    project
    # gcc 12 lets a self-assignment pass
    sed -i 's/    return 0/    int x = 1;\n    x = x;\n    return x/' lib/stream/f.c
    finds compiler 'Wself-assign'
}

@test "lint: page: no page, a page with a complaint, a reference to a page that is not there, no test" {
    project
    mv bin/x.1 bin/y.1
    finds page 'bin/x.1: missing'
    mv bin/y.1 bin/x.1
    printf '.Sh SEE ALSO\n.Xr talkplay 1\n' >>bin/x.1
    finds page 'referenced manual not found: Xr talkplay 1'
    sed -i 's/Xr talkplay/Xr jq/' bin/x.1
    tests/lint page
    echo '.Zz' >>bin/x.1
    finds page 'x.1:10'
    project
    sed -i 's/x: works/it works/' tests/x.bats
    finds page 'bin/x.c: no test begins with its name'
}

@test "lint: library: exit, abort, printf and stderr, but not in comments, strings or lib/cli" {
    for line in 'exit(1);' 'abort();' 'printf("x");' '(void)fprintf(stderr, "x");' 'cli_die(err);' 'fputs("x", stdout);' '_exit (3);'; do
        project
        sed -i "s/    return 0;/    $line\n    return 0;/" lib/stream/f.c
        finds library 'lib/stream/f.c:6:'
    done
    for line in '/* exit(1) */' 'x = "exit(1)";' 'snprintf(x);' 's->exit(1);' '// abort()' '/* printf(\n * exit(2)\n abort() */'; do
        project
        sed -i "s,    return 0;,    $line\n    return 0;," lib/stream/f.c
        tests/lint library
    done
    mkdir -p lib/cli && project
    sed 's/return 0/exit(1)/' lib/stream/f.c >lib/cli/f.c
    tests/lint library
}

@test "lint: word: unfinished work and paths of a machine" {
    for word in 'TODO' '# FIXME: x' 'see /home/me/x' '"/root/x"' 'deb.debian''.org'; do
        project
        echo "# $word" >>tests/x.bats
        finds word 'tests/x.bats:'
    done
    project
    echo '# DIR/home/x, autodone, dir/root/, $x/work/y' >>tests/x.bats
    tests/lint word
}

@test "lint: licence and size: a file without its SPDX line, six megabytes of examples" {
    project
    sed -i 1d lib/stream/f.c
    finds licence './lib/stream/f.c: no SPDX line'
    project
    head -c 6000000 /dev/zero >examples/x/data/big
    finds size 'examples: 6000000 bytes'
}
