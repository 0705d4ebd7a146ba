# Tidegate. One Makefile, not recursive; everything it makes goes under $(BUILD).
#
#   make            optimised, hardened build          make debug       address + undefined sanitizers
#   make check      lint unit replay fuzz-replay scene make check-debug the same in the sanitizer build
#   make fuzz       libFuzzer binaries (clang)         make bench       ratios beside peers, on this machine
#
# One static archive per folder. LAYERS lists them from top to bottom, and a program or a test is linked with its
# own layer and those below only: an include arrow that points up fails to link, and tests/lint names it.

CC      ?= gcc
BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

LAYERS := gateway/front gateway/exchange gateway/realtime gateway/upstream cache gateway/net gateway/ws gateway/rules gateway/http \
          gateway/report health/dns health conf base
LAYERS := $(foreach l,$(LAYERS),$(if $(wildcard $(l)/*.c),$(l)))

# program        : folder (its main.c and archive)   layers it stands on from   extra libraries
PROGRAMS := tidegate tidegate-worker tidegate-checker tidegate-dns tidegate-admin tidegatectl region region-talk tidegate-bench relay-raw tidegate-ratio
tidegate_dir         := gateway/super
tidegate_base        := cache
tidegate-worker_dir  := gateway/worker
tidegate-worker_base := gateway/front
tidegate-checker_dir := health/checker
tidegate-checker_base := cache
tidegate-checker_libs := -lwebsockets
tidegate-dns_dir     := health/nameserver
tidegate-dns_base    := health/dns
tidegate-admin_dir   := gateway/admin
tidegate-admin_base  := gateway/report
tidegate-admin_libs  := -lwebsockets -lcurl
tidegatectl_dir      := gateway/ctl
tidegatectl_base     := base
tidegatectl_libs     := -ljansson
region_dir           := tests/region
region_base          := base
region_libs          := -lwebsockets -lhiredis -ljansson
region-talk_dir      := tests/region/talk
region-talk_base     := gateway/ws
tidegate-bench_dir   := gateway/bench
tidegate-bench_base  := gateway/ws
relay-raw_dir        := tests/bench/relay
relay-raw_base       := base
tidegate-ratio_dir   := tests/bench/ratio
tidegate-ratio_base  := cache
# A process folder whose main.c is still to come has an archive and tests all the same.
PROCESSES := $(foreach p,$(PROGRAMS),$(if $(wildcard $($(p)_dir)/*.c),$(p)))
PROGRAMS := $(foreach p,$(PROGRAMS),$(if $(wildcard $($(p)_dir)/main.c),$(p)))
INSTALLED := tidegate tidegate-worker tidegate-checker tidegate-dns tidegate-admin

WARN := -Wall -Wextra -Werror -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wundef \
        -Wpointer-arith -Wwrite-strings -Wvla -Wimplicit-fallthrough -Wcast-align -Wnull-dereference
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fno-strict-overflow -fno-delete-null-pointer-checks
ifeq ($(SAN),)
OPT    := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 $(HARDEN)
LDHARD := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
else
OPT    := -O1 -g -fno-omit-frame-pointer -fsanitize=$(SAN) -fno-sanitize-recover=all
LDHARD := -fsanitize=$(SAN)
endif
CPPFLAGS_ALL := -I. -D_GNU_SOURCE -DTIDEGATE_VERSION='"$(VERSION)"' $(CPPFLAGS)
CFLAGS_ALL   := -std=c17 -fPIE $(WARN) $(OPT) $(CFLAGS)
LDFLAGS_ALL  := $(LDHARD) $(LDFLAGS)
LIBS         := -lyaml -lnghttp2 -lhiredis -lssl -lcrypto -lcares -lz -lbrotlienc -lzstd -ljwt -ljansson -lev -lm

.PHONY: all debug check check-debug test-programs lint unit replay fuzz fuzz-replay scene bench fmt tidy reference install clean
all: $(PROGRAMS:%=$(BUILD)/%)

# ---- archives -----------------------------------------------------------------------------------------------
archive = $(BUILD)/lib$(subst /,-,$(1)).a
# layers from $(1) down to base
from = $(if $(filter $(1),$(LAYERS)),$(call cut,$(1),$(LAYERS)),$(LAYERS))
cut  = $(if $(filter $(1),$(firstword $(2))),$(2),$(call cut,$(1),$(wordlist 2,$(words $(2)),$(2))))
archives_from = $(foreach l,$(call from,$(1)),$(call archive,$(l)))

define ARCHIVE_RULE
$(call archive,$(1)): $(patsubst %.c,$(BUILD)/%.o,$(filter-out %/main.c,$(wildcard $(1)/*.c)))
	@rm -f $$@
	@ar rcsD $$@ $$^
endef
PROGRAM_DIRS := $(foreach p,$(PROCESSES),$($(p)_dir))
$(foreach d,$(LAYERS) $(PROGRAM_DIRS),$(eval $(call ARCHIVE_RULE,$(d))))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

define PROGRAM_RULE
$(BUILD)/$(1): $(BUILD)/$($(1)_dir)/main.o $(call archive,$($(1)_dir)) $(call archives_from,$($(1)_base))
	@echo "  LINK  $$@"
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $$@ $$^ $($(1)_libs) $(LIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call PROGRAM_RULE,$(p))))

debug:
	@$(MAKE) --no-print-directory BUILD=build-debug SAN=address,undefined all

# ---- tests --------------------------------------------------------------------------------------------------
# tests/unit/<folder>/test_<noun>.c sees <folder>'s archive and those below it.
UNIT_SRC := $(wildcard tests/unit/*/*.c tests/unit/*/*/*.c tests/unit/*/*/*/*.c)
UNIT_BIN := $(UNIT_SRC:%.c=$(BUILD)/%)
unit_dir = $(patsubst tests/unit/%/,%,$(dir $(1)))
# A process folder under test is linked on top of the layers its program stands on.
base_of  = $(or $(strip $(foreach p,$(PROCESSES),$(if $(filter $(1),$($(p)_dir)),$($(p)_base)))),$(1))
libs_of  = $(foreach p,$(PROCESSES),$(if $(filter $(1),$($(p)_dir)),$($(p)_libs)))
own_of   = $(foreach p,$(PROCESSES),$(if $(filter $(1),$($(p)_dir)),$(call archive,$(1))))
define UNIT_RULE
$(BUILD)/$(1:%.c=%): $(BUILD)/$(1:%.c=%.o) $(call own_of,$(call unit_dir,$(1))) $(call archives_from,$(call base_of,$(call unit_dir,$(1))))
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $$@ $$^ -lcmocka -ljansson -lbrotlidec $(call libs_of,$(call unit_dir,$(1))) $(LIBS)
endef
$(foreach t,$(UNIT_SRC),$(eval $(call UNIT_RULE,$(t))))
# Some tests start programs of this build.
unit: all $(UNIT_BIN)
	@tests/unit/run $(UNIT_BIN)

# Replay: the worker's own code, and what decides in the checker, on a loop with a virtual clock.
REPLAY_SRC := $(wildcard tests/replay/test_*.c)
REPLAY_BIN := $(REPLAY_SRC:%.c=$(BUILD)/%)
REPLAY_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(REPLAY_SRC),$(wildcard tests/replay/*.c)))
$(REPLAY_BIN): $(BUILD)/%: $(BUILD)/%.o $(REPLAY_OBJ) $(if $(wildcard gateway/worker/main.c),$(call archive,gateway/worker)) $(call archive,health/checker) $(call archives_from,gateway/front)
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ -lcmocka $(LIBS)
replay: $(REPLAY_BIN)
	@tests/unit/run $(REPLAY_BIN)

# Fuzz targets: built with libFuzzer by `make fuzz`, replayed over their corpora by everybody else.
# Of the checker, what knows nothing of libwebsockets. Sessions are those of the unit tests, which need cmocka.
FUZZ_ARCHIVES := $(call archive,health/checker) $(call archives_from,gateway/front)
FUZZ_SRC    := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_REPLAY := $(FUZZ_SRC:%.c=$(BUILD)/%)
$(FUZZ_REPLAY): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/tests/fuzz/replay_main.o $(FUZZ_ARCHIVES)
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ -lcmocka $(LIBS)
fuzz-replay: $(FUZZ_REPLAY)
	@set -e; for f in $(FUZZ_REPLAY); do $$f tests/fuzz/corpus/$$(basename $$f | sed s/^fuzz_//); done

ifneq ($(FUZZER),)
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/%)
$(FUZZ_BIN): $(BUILD)/%: $(BUILD)/tests/fuzz/%.o $(FUZZ_ARCHIVES)
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ -lcmocka $(LIBS)
fuzzers: $(FUZZ_BIN)
endif
fuzz:
	@$(MAKE) --no-print-directory CC=clang BUILD=build-fuzz SAN=address,undefined,fuzzer-no-link FUZZER=1 fuzzers

SCENES ?= $(wildcard tests/scene/*.test.js)
scene: all tests/scene/node_modules/.package-lock.json
	@TIDEGATE_BUILD=$(abspath $(BUILD)) node --test --test-concurrency=3 $(SCENES)
tests/scene/node_modules/.package-lock.json: tests/scene/package.json tests/scene/package-lock.json
	@cd tests/scene && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

lint:
	@tests/lint/run

# Everything is compiled first, on all cores; the tests run one kind after the other, for some mind what else is going on.
test-programs: all $(UNIT_BIN) $(REPLAY_BIN) $(FUZZ_REPLAY)
check:
	@$(MAKE) --no-print-directory -j$$(nproc) test-programs
	@$(MAKE) --no-print-directory lint unit replay fuzz-replay scene
check-debug:
	@$(MAKE) --no-print-directory BUILD=build-debug SAN=address,undefined check

bench: all tests/scene/node_modules/.package-lock.json
	@TIDEGATE_BUILD=$(abspath $(BUILD)) tests/bench/run --write

# ---- upkeep -------------------------------------------------------------------------------------------------
SOURCES := $(wildcard base/*.[ch] conf/*.[ch] cache/*.[ch] health/*.[ch] health/*/*.[ch] gateway/*/*.[ch] \
             tests/*/*.[ch] tests/*/*/*.[ch] tests/*/*/*/*.[ch] tests/*/*/*/*/*.[ch])
fmt:
	@clang-format -i $(SOURCES)
tidy:
	@printf '%s\n' $(filter %.c,$(SOURCES)) | \
	  xargs -P $$(nproc) -I{} clang-tidy --quiet {} -- -std=c17 $(CPPFLAGS_ALL) 2>&1 | grep -v 'warnings\? generated' || true
reference: $(BUILD)/tidegate
	@$(BUILD)/tidegate --reference > conf/reference.md

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/tidegate
	install -m 755 $(INSTALLED:%=$(BUILD)/%) $(DESTDIR)$(PREFIX)/sbin
	install -m 755 $(BUILD)/tidegatectl $(BUILD)/tidegate-bench $(DESTDIR)$(PREFIX)/bin
	install -m 644 README.md conf/reference.md $(wildcard conf/*.yaml) $(DESTDIR)$(PREFIX)/share/doc/tidegate
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	set -e; for u in tidegate tidegate-checker; do sed 's|/usr/local/|$(PREFIX)/|g' deploy/systemd/$$u.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/$$u.service; done

clean:
	rm -rf build build-debug build-fuzz

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.SECONDARY:
