# SPDX-License-Identifier: Apache-2.0
# TalkPlay in C: music recommendation as language-model token generation.
# The only entry a newcomer needs: `make help`.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := all
export LC_ALL := C
# One environment variable halves the speed of OpenBLAS where it is set by accident.
unexport OPENBLAS_CORETYPE
# A thread that waits for another gives its processor up after some 0.1 ms: where several programs share the machine, waiting in
# circles for long costs more than half of the time; where it is too short, decoding one prompt loses a third to waking threads.
export GOMP_SPINCOUNT ?= 50000
# What is built uses all processors, unless -j says how many. Several goals are made one after the other, as ever; and a make
# within a make shares what the outer one was given.
ifeq ($(MAKELEVEL)$(word 2,$(MAKECMDGOALS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

# ---- variables: the line above says what it is, for `make help` ---------------------------------
ifeq ($(origin CC),default)
CC := gcc
CXX := g++
endif
## instruction set of the build (x86-64-v3 for valgrind, which lacks AVX-512)
MARCH ?= native
## where everything that is made goes
BUILD ?= build
## empty to build in spite of warnings
WERROR ?= -Werror

# $(call once,NAME,VALUE): the value, which NAME keeps: what is asked for first is asked for once.
once = $(eval $(1) := $(2))$($(1))

PKGS := msgpack openblas simdjson libpcre2-8 lapacke ompi-c sndfile kissfft-float
# That a loop stays as it is written (clang on maxima of floats) is no fault of it.
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-pass-failed $(WERROR)
# a * b + c is rounded once, wherever it stands: the same sum written in two places has the same bits. (gcc, tuning for
# some processors, would split such sums in loops.) And sqrtf sets no errno, which would keep clang from vectors; comparisons raise
# no flags that anybody reads, which would keep gcc from them.
FLOAT = $(call once,FLOAT,-ffp-contract=fast -fno-math-errno -fno-trapping-math $(shell $(CC) -Werror $(SPLITS) -E -xc /dev/null >/dev/null 2>&1 && echo $(SPLITS)))
SPLITS := --param=avoid-fma-max-bits=0
OPT = -O3 -march=$(MARCH) $(FLOAT) -g
# Lazy, since a fresh machine has no pkg-config before `packages` has run.
PKG_CFLAGS = $(call once,PKG_CFLAGS,$(shell pkg-config --cflags $(PKGS) | sed 's/-I/-isystem /g'))
PKG_LIBS = $(call once,PKG_LIBS,$(shell pkg-config --libs $(PKGS)))
CPPFLAGS := -D_GNU_SOURCE -Ilib
SAN :=
# Short lines unless V=1.
ifneq ($(V),1)
say = @printf '  %-4s %s\n' '$(1)' '$(2)';
endif
CFLAGS = -std=c17 $(OPT) $(WARN) -fopenmp $(SAN)
CXXFLAGS = -std=c++17 $(OPT) $(WARN) $(SAN)
# oneDNN comes without a pkg-config file.
LDLIBS = -Wl,--as-needed $(PKG_LIBS) -ldnnl -lm -lpthread

# ---- what is built -----------------------------------------------------------------------------
PROGRAMS := $(patsubst bin/%.c,%,$(wildcard bin/*.c))
LIB_C := $(wildcard lib/*/*.c)
LIB_CXX := $(wildcard lib/*/*.cpp)
LIB_O := $(LIB_C:%.c=$(BUILD)/obj/%.o) $(LIB_CXX:%.cpp=$(BUILD)/obj/%.o)
LIB := $(BUILD)/lib/libtalkplay.a
FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
UNITS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))

.PHONY: all
all: $(PROGRAMS:%=$(BUILD)/bin/%) ## build every program

.PHONY: units
units: $(UNITS:%=$(BUILD)/unit/%) $(FUZZ:%=$(BUILD)/fuzz/replay_%) $(BUILD)/fault.so

$(LIB): $(LIB_O)
	@mkdir -p $(@D)
	$(call say,AR,$@) rm -f $@ && ar crs $@ $^
# Of a name that two rooms define the linker would take either.
	@twice=$$(nm -g --defined-only $@ 2>/dev/null | awk '$$2 ~ /[BCDRT]/ && $$3 !~ /^\./ {print $$3}' | sort | uniq -d); \
	    [ -z "$$twice" ] || { echo "$@: defined twice:" $$twice >&2; exit 1; }

$(BUILD)/obj/%.o: %.c | $(BUILD)/packages
	@mkdir -p $(@D)
	$(call say,CC,$<) $(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/%.o: %.cpp | $(BUILD)/packages
	@mkdir -p $(@D)
	$(call say,CXX,$<) $(CXX) $(CPPFLAGS) $(PKG_CFLAGS) $(CXXFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/bin/%: $(BUILD)/obj/bin/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@) $(CXX) $(SAN) -fopenmp -o $@ $< $(LIB) $(LDLIBS)

$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@) $(CXX) $(SAN) -fopenmp -o $@ $< $(LIB) $(LDLIBS)

$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@) $(CXX) $(SAN) -fopenmp -o $@ $< $(LIB) $(LDLIBS)

# A fuzz target with a plain main, which runs it over files: make test replays what was found.
$(BUILD)/fuzz/replay_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/fuzz/replay.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@) $(CXX) $(SAN) -fopenmp -o $@ $(filter %.o,$^) $(LIB) $(LDLIBS)

# A fuzz target for libFuzzer: see the target fuzz.
$(BUILD)/fuzz/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@) $(CXX) $(SAN) -fsanitize=fuzzer -fopenmp -o $@ $< $(LIB) $(LDLIBS)

# Preloaded by tests: makes calls fail. Without sanitizers, which have a malloc of their own.
$(BUILD)/fault.so: tests/fault.c | $(BUILD)/packages
	@mkdir -p $(@D)
	$(call say,CC,$<) $(CC) $(CPPFLAGS) -std=c17 -O1 -g $(WARN) -fPIC -shared -o $@ $<

.PRECIOUS: $(BUILD)/obj/%.o
-include $(wildcard $(BUILD)/obj/*/*.d $(BUILD)/obj/*/*/*.d)

# Checks once that the distribution's packages are there, and installs what is missing.
$(BUILD)/packages: pipelines/packages.sh
	@mkdir -p $(@D)
	bash pipelines/packages.sh
	@touch $@

# What lint and tests need besides. One after the other: the distribution installs one thing at a time.
$(BUILD)/packages-test: pipelines/packages.sh | $(BUILD)/packages
	@mkdir -p $(@D)
	bash pipelines/packages.sh test
	@touch $@

# ---- runs --------------------------------------------------------------------------------------
## the experiment of `make run`: examples/NAME/config.mk
CONFIG ?= examples/cpcd/config.mk
## threads of each program; 0 for one a processor
THREADS ?= 0
## machines that work on pieces, reached by ssh without a password: a,user@b,: (: is this one)
HOSTS ?=
## pieces that each machine works on at a time
JOBS ?=
## pieces that mapping stages are cut into, each a process; by default as many as HOSTS and JOBS can use
PARTS ?=
## what training is started by: 'mpirun -n 4'
LAUNCH ?=
## a folder whose programs come before ours: how a stage is swapped
STAGES ?=

talkplay = $(MAKE) --no-print-directory -f pipelines/talkplay.mk BUILD=$(BUILD) CONFIG=$(1) THREADS=$(THREADS) \
    HOSTS=$(HOSTS) JOBS=$(JOBS) $(PARTS:%=PARTS=%) LAUNCH='$(LAUNCH)' STAGES=$(STAGES) IN_TURN=yes

.PHONY: demo
demo: all ## real playlists and conversations to a trained model, and how it did
	+@$(call talkplay,examples/cpcd/config.mk)

.PHONY: run
run: all ## the experiment of CONFIG, in build/runs/NAME
	+@$(call talkplay,$(CONFIG))

.PHONY: chat
chat: demo ## talk to the demo's model
	@pipelines/chat.sh $(BUILD)/runs/cpcd

.PHONY: named-artists
named-artists: demo ## asked for 200 artists by name, how often is a track by them recommended?
	+@$(call talkplay,examples/cpcd/config.mk) named-artists

.PHONY: cv
cv: all ## the demo's choices by 5 folds over its training conversations, 5 times the demo's time
	+@pipelines/cv.sh 5 $(BUILD)/runs/cv $(call talkplay,examples/cpcd/config.mk)

# ---- install -----------------------------------------------------------------------------------
## where `make install` puts bin/talkplay, libexec, man pages and schemas
PREFIX ?= /usr/local
## put before PREFIX, for packagers
DESTDIR ?=

.PHONY: install
install: all ## install under PREFIX: talkplay STAGE ... then runs any stage
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin libexec/talkplay share/man/man1 share/talkplay/schemas)
	install -m 755 pipelines/talkplay $(DESTDIR)$(PREFIX)/bin/talkplay
	install -m 755 $(PROGRAMS:%=$(BUILD)/bin/%) $(DESTDIR)$(PREFIX)/libexec/talkplay
	install -m 644 $(wildcard bin/*.1) $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(wildcard schemas/*) $(DESTDIR)$(PREFIX)/share/talkplay/schemas

# ---- tests -------------------------------------------------------------------------------------
## bats files to run instead of all: make test T=tests/kmeans.bats
T ?=

.PHONY: test
test: $(if $(strip $(T)),,lint asan-units) all units | $(BUILD)/packages-test ## all tests, lint first; ends with "N passed, N failed"
	BUILD=$(abspath $(BUILD)) tests/run $(T)

.PHONY: lint
lint: | $(BUILD)/packages-test ## shellcheck, clang-format, warnings of gcc and clang, mandoc, and the project's own rules
	CPPFLAGS='$(CPPFLAGS) $(PKG_CFLAGS)' WARN='$(WARN)' tests/lint

.PHONY: asan
asan: asan-all asan-units ## programs and unit tests with AddressSanitizer and UBSan, in build/asan

.PHONY: asan-all asan-units
asan-all asan-units: asan-%:
	+@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan MARCH=x86-64-v3 OPT="-O1 -g1 -march=x86-64-v3 $(FLOAT)" \
	    SAN="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer" $*
asan-all asan-units: | $(BUILD)/packages
asan-units: | $(if $(filter asan,$(MAKECMDGOALS)),asan-all)

.PHONY: avx512
avx512: ## unit tests of the code for AVX-512, emulated where the processor lacks it
	bash pipelines/packages.sh avx512
	+@$(MAKE) --no-print-directory BUILD=$(BUILD)/avx512 CC='$(CC) -include tests/unit/avx512.h' WARN='-w -Wno-psabi' units
	@for t in $(UNITS:%=$(BUILD)/avx512/unit/%); do echo $$t; $$t >$$t.tap || { grep -v '^ok' $$t.tap; exit 1; }; done

## seconds that `make fuzz` gives each target
FUZZ_SECONDS ?= 60

.PHONY: fuzz
fuzz: all ## libFuzzer on every tests/fuzz/fuzz_*.c, with clang and sanitizers, in build/libfuzzer
	$(MAKE) BUILD=$(BUILD)/libfuzzer CC=clang CXX=clang++ WERROR= MARCH=x86-64-v3 \
	    OPT="-O1 -g -march=x86-64-v3 $(FLOAT)" \
	    SAN="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer" fuzzers
	mkdir -p $(BUILD)/libfuzzer/seeds
	cp schemas/*.json tests/records/*.json tests/fuzz/checkpoint/* $(BUILD)/libfuzzer/seeds
	for f in tests/records/*.json; do $(BUILD)/bin/json2mp -o $(BUILD)/libfuzzer/seeds/$$(basename $$f .json).mp $$f; done
	for f in $(FUZZ); do \
	    mkdir -p $(BUILD)/libfuzzer/corpus/$$f; \
	    $(BUILD)/libfuzzer/fuzz/fuzz_$$f -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -print_final_stats=1 \
	        -artifact_prefix=$(BUILD)/libfuzzer/$$f- $(BUILD)/libfuzzer/corpus/$$f $(BUILD)/libfuzzer/seeds; \
	done

.PHONY: fuzzers
fuzzers: $(FUZZ:%=$(BUILD)/fuzz/fuzz_%)

# The peers of the benchmarks, of which each is used where it is installed.
.PHONY: bench-deps
bench-deps: ## install what `make bench` compares with, from the distribution's packages
	bash pipelines/packages.sh bench

## what `make bench` measures: any of audio constrain decode embed item2vec kmeans large match mpd npy scale train
B ?= train decode large constrain mpd item2vec kmeans match npy audio embed scale

.PHONY: bench
bench: all $(BUILD)/bench/rates ## how fast things are, beside their peers where they are installed; all of it takes two hours
	for b in $(B); do \
	    [ $$b != constrain ] || [ -d $(BUILD)/runs/cpcd/model ] || continue; \
	    case $$b in \
	        constrain) set -- $(BUILD)/runs/cpcd $(filter-out 0,$(THREADS)) ;; \
	        audio | match | mpd | npy) set -- ;; \
	        scale) set -- 100000 $(filter-out 0,$(THREADS)) ;; \
	        *) set -- $(filter-out 0,$(THREADS)) ;; \
	    esac; \
	    BUILD=$(abspath $(BUILD)) tests/bench/$$b "$$@"; \
	done

## how often `make soak` kills each of its trainings (float32, bfloat16, several processes), and the seed of the moments
SOAK ?= 50 1

.PHONY: soak
soak: all ## training killed with -9 at 50 random moments and resumed: the same bytes? thrice, some seven minutes
	BUILD=$(abspath $(BUILD)) tests/soak $(SOAK)
	BUILD=$(abspath $(BUILD)) tests/soak $(SOAK) 1 --precision bf16 --moments bf16 --checkpointing
	BUILD=$(abspath $(BUILD)) tests/soak $(SOAK) 3

.PHONY: clean
clean: ## delete everything that was made
	rm -rf $(BUILD)

.PHONY: help
help: ## targets and variables
	@echo "targets:"; \
	grep -hE '^[a-z][a-z0-9-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  %-12s %s\n", $$1, $$2}'; \
	echo "variables (make NAME=value):"; \
	awk '/^## / {help = substr($$0, 4); next} \
	    help && /^[A-Z_]+ \?=/ {name = $$1; sub(/^[^=]*= */, ""); printf "  %-12s %s [%s]\n", name, help, $$0} {help = ""}' \
	    $(MAKEFILE_LIST)
