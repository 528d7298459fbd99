# Picket.  One Makefile, no recursion into folders: objects go below $(B), one static archive per folder (= layer).
#
#   make run      install what is missing, build, start a server and an agent on loopback
#   make check    install what is missing, build, run all tests
#   make help     the rest
#
# B=dir build folder | V=1 full commands | SAN=address,undefined sanitizers (give it a B of its own) | WERROR=1 or CI=1

B       ?= build
PREFIX  ?= /usr/local
VERSION ?= 0.1.0
JOBS    ?= $(shell nproc)

ifeq ($(origin CC),default)
CC := gcc
endif

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

# ---- what there is -------------------------------------------------------------------------------------------------

# Bottom to top; every folder may be empty or missing.
LAYERS   := base codec model conf wire fingerprint drivers state api fwd agent server cli probe sim
TOPS     := agent server cli probe sim

# tools/layers.txt as words "folder,below,below": what a folder's tests and programs are linked with.
TABLE    := $(shell awk '/^[a-z]/ { s = $$1; sub(":", "", s); for (i = 2; i <= NF; i++) s = s "," $$i; print s }' \
                    tools/layers.txt)
comma    := ,
$(foreach row,$(TABLE),$(eval below_$(firstword $(subst $(comma), ,$(row))) := \
  $(wordlist 2,99,$(subst $(comma), ,$(row)))))
closure   = $(sort $(1) $(foreach l,$(below_$(1)),$(call closure,$(l))))
reverse   = $(if $(1),$(call reverse,$(wordlist 2,99,$(1))) $(firstword $(1)))
archives  = $(patsubst %,$(B)/lib%.a,$(call reverse,$(filter $(1),$(LAYERS))))
# archives of one folder and everything below it, in link order; a folder that is no layer gets all of them
link_with = $(call archives,$(if $(filter $(1),$(LAYERS)),$(call closure,$(1)),$(LAYERS)))

sources   = $(filter-out %/main.c,$(wildcard $(1)/*.c))
objects   = $(patsubst %.c,$(B)/%.o,$(call sources,$(1)))

main_picketd       := agent
main_picket-server := server
main_picket        := cli
main_picket-probe  := probe
main_picket-sim    := sim
PROGRAMS := $(foreach p,picketd picket-server picket picket-probe picket-sim,$(if $(wildcard $(main_$(p))/main.c),$(p)))

# What each program may need; --as-needed leaves out what it does not use.  No pkg-config: these never move.
LIBS_BASE          := -lsystemd -lnettle -lm
libs_picketd       := $(LIBS_BASE) -ljson-c -lhttp_parser -lz -lcap
libs_picket-server := $(LIBS_BASE) -ljson-c -lhttp_parser -lz -lsqlite3
libs_picket        := $(LIBS_BASE) -ljson-c -lcurl
libs_picket-probe  := $(LIBS_BASE) -ljson-c -lhttp_parser -lz -lcap
libs_picket-sim    := $(LIBS_BASE) -ljson-c -lhttp_parser -lz
LIBS_ALL           := $(LIBS_BASE) -ljson-c -lhttp_parser -lz -lcap -lsqlite3 -lcurl

UNIT     := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/*/test_*.c))
FUZZ     := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH    := $(patsubst %.c,$(B)/%,$(wildcard bench/bench_*.c))
HELPERS  := $(wildcard tests/support/*.c)
HEADERS  := $(wildcard $(addsuffix /*.h,$(LAYERS) task tests/support tests/unit/* tests/fuzz bench))
SOURCES  := $(wildcard $(addsuffix /*.c,$(LAYERS) task tests/support tests/preload tests/unit/* tests/fuzz bench))

# ---- flags ---------------------------------------------------------------------------------------------------------

OPT      ?= -O2
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla -Wformat=2 \
            -Wno-missing-field-initializers $(if $(findstring clang,$(CC)),-Wno-format-nonliteral -Wno-gnu-variable-sized-type-not-at-end)
DEFINES  := -I. -D_GNU_SOURCE -DPICKET_VERSION='"$(VERSION)"'
FORTIFY  := $(if $(SAN)$(filter -O0 -Og,$(OPT)),,-D_FORTIFY_SOURCE=2)
CODEGEN  := $(OPT) -g -fPIE -fstack-protector-strong -ffunction-sections -fdata-sections -ffile-prefix-map=$(CURDIR)=. \
            $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
ALL_CPPFLAGS = $(DEFINES) $(FORTIFY) $(CPPFLAGS)
ALL_CFLAGS   = -std=gnu17 $(WARN) $(CODEGEN) $(CFLAGS)
ALL_LDFLAGS  = -pie -Wl,-z,relro,-z,now -Wl,--as-needed -Wl,--gc-sections \
               $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)
ERROR    := $(if $(filter 1,$(WERROR) $(CI)),-Werror)

Q        := $(if $(V),,@)
say       = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(2)')
SUBMAKE   = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS) -Otarget)

# ---- programs ------------------------------------------------------------------------------------------------------

.PHONY: all
all: ## the programs (the default)
all: $(addprefix $(B)/bin/,$(PROGRAMS)) $(call archives,$(LAYERS))

define PROGRAM
$(B)/bin/$(1): $(B)/$(main_$(1))/main.o $(call link_with,$(main_$(1)))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALL_CFLAGS) $$(ALL_LDFLAGS) -o $$@ $$^ $(libs_$(1))
endef
$(foreach p,$(PROGRAMS),$(eval $(call PROGRAM,$(p))))

# An archive is made anew when a member changes or the list of members does (a source that went away).
define ARCHIVE
$(B)/lib$(1).a: $(2) $(B)/lib$(1).list
	$$(call say,AR,$$@)
	@rm -f $$@
	$$(Q)$$(AR) rcs $$@ $(2)
$(B)/lib$(1).list: FORCE
	@mkdir -p $$(@D)
	@echo '$(2)' | cmp -s - $$@ || echo '$(2)' > $$@
endef
$(foreach l,$(LAYERS),$(eval $(call ARCHIVE,$(l),$(call objects,$(l)))))
$(eval $(call ARCHIVE,support,$(patsubst %.c,$(B)/%.o,$(HELPERS))))
$(eval $(call ARCHIVE,bench,$(patsubst %.c,$(B)/%.o,$(filter-out bench/bench_%,$(wildcard bench/*.c)))))

$(B)/%.o: %.c $(B)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CPPFLAGS) -MMD -MP $(ALL_CFLAGS) $(ERROR) -c -o $@ $<

# Objects are rebuilt when the flags change.
FLAGS_TEXT = $(subst ','\'',$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS))
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_TEXT)' | cmp -s - $@ || echo '$(FLAGS_TEXT)' > $@

.PHONY: FORCE
FORCE:

-include $(patsubst %.c,$(B)/%.d,$(SOURCES))

# ---- tests ---------------------------------------------------------------------------------------------------------

# One cmocka program per tests/unit/<layer>/test_*.c, linked with that layer and those below it only.
define UNIT_TEST
$(filter $(B)/tests/unit/$(1)/%,$(UNIT)): %: %.o $(B)/libsupport.a $(call link_with,$(1))
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(ALL_CFLAGS) $$(ALL_LDFLAGS) -o $$@ $$^ $$(LIBS_ALL) -lcmocka -lmsgpackc
endef
$(foreach l,$(sort $(notdir $(patsubst %/,%,$(wildcard tests/unit/*/)))),$(eval $(call UNIT_TEST,$(l))))

# A fuzz target is linked twice: with tests/fuzz/driver.c as an ordinary program over its corpus, and with libFuzzer.
$(FUZZ): %: %.o $(B)/tests/fuzz/driver.o $(B)/libsupport.a $(call archives,$(LAYERS))
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_ALL) -lmsgpackc
$(addsuffix .libfuzzer,$(FUZZ)): %.libfuzzer: %.o $(B)/libsupport.a $(call archives,$(LAYERS))
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $(ALL_LDFLAGS) -o $@ $^ $(LIBS_ALL) -lmsgpackc

$(BENCH): %: %.o $(B)/libbench.a $(B)/libsupport.a $(call archives,$(LAYERS))
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_ALL)

# What integration tests put between a program and the C library.
PRELOAD := $(patsubst %.c,$(B)/%.so,$(wildcard tests/preload/*.c))
$(PRELOAD): $(B)/%.so: %.c $(B)/flags
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(DEFINES) -std=gnu17 $(WARN) $(OPT) -g -fPIC $(ERROR) -shared -o $@ $<

INTEGRATION := $(wildcard tests/integration/test_*.py)
# ONLY=text: build and run only the test programs whose path has it
only = $(if $(ONLY),$(foreach p,$(1),$(if $(findstring $(ONLY),$(p)),$(p))),$(1))

.PHONY: tests-build bench-build fuzz-build
tests-build: $(if $(call only,tests/integration/ $(INTEGRATION)),all $(PRELOAD)) $(call only,$(UNIT) $(FUZZ))
bench-build: all $(BENCH)
fuzz-build: $(addsuffix .libfuzzer,$(if $(F),$(B)/tests/fuzz/fuzz_$(F),$(FUZZ)))
all tests-build bench-build fuzz-build:
	@:

RUN_TESTS = tools/run-tests --build $(B) $(addprefix --only ,$(ONLY)) $(if $(V),--verbose)
TEST_SETS = --unit $(UNIT) --fuzz $(FUZZ) --python $(INTEGRATION)

.PHONY: check
check: ## install what is missing, build, run all tests; one line of totals at the end (ONLY=text picks)
	@$(MAKE) --no-print-directory deps deps-check
	@$(SUBMAKE) tests-build $(if $(ONLY),,headers)
	@$(MAKE) --no-print-directory run-tests

.PHONY: run-tests
run-tests:
	@$(RUN_TESTS) $(if $(ONLY),,--command layers=tools/check-layers --command banned=tools/check-banned) $(TEST_SETS)

# The same tests in other builds.  Reports of the sanitizers come from every process, daemons included (tools/run-tests).
ASAN_ENV  = ASAN_OPTIONS=detect_leaks=1:print_legend=0:strict_string_checks=1:detect_stack_use_after_return=1:handle_segv=2:$\
            handle_sigbus=2:handle_sigfpe=2:handle_sigill=2 UBSAN_OPTIONS=print_stacktrace=1
.PHONY: asan tsan valgrind
asan: ## the tests under AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) --no-print-directory deps deps-check
	@$(SUBMAKE) B=$(B)/asan SAN=address,undefined tests-build
	@$(ASAN_ENV) FUZZ_MUTATIONS=$${FUZZ_MUTATIONS:-300} \
	    $(MAKE) --no-print-directory B=$(B)/asan SAN=address,undefined ONLY='$(ONLY)' run-asan
.PHONY: run-asan
run-asan:
	@$(RUN_TESTS) --name asan $(TEST_SETS)
# Besides the loop there are only base/writer's threads, the store's and the journal's: what works with one.
TSAN_UNIT   := $(filter $(B)/tests/unit/base/test_writer $(B)/tests/unit/agent/test_journal $(B)/tests/unit/state/% \
                        $(B)/tests/unit/server/%,$(UNIT))
TSAN_PYTHON := $(patsubst %,tests/integration/test_%.py,durability snapshot node)
tsan: ## what has threads under ThreadSanitizer
	@$(MAKE) --no-print-directory deps deps-check
	@$(SUBMAKE) B=$(B)/tsan SAN=thread tsan-build
	@MODEL_OPS=1 SNAPSHOT_KILLS=5 SNAPSHOT_NODES=300 \
	    $(MAKE) --no-print-directory B=$(B)/tsan SAN=thread ONLY='$(ONLY)' run-tsan
.PHONY: tsan-build run-tsan
tsan-build: all $(call only,$(TSAN_UNIT))
	@:
run-tsan:
	@$(RUN_TESTS) --name tsan --unit $(TSAN_UNIT) --python $(TSAN_PYTHON)
VALGRIND = valgrind -q --child-silent-after-fork=yes --error-exitcode=99 --leak-check=full \
           --show-leak-kinds=definite,indirect,possible --track-fds=yes
valgrind: ## unit tests, fuzz corpora and a conversation of the programs under valgrind: memory, leaks, descriptors
	@$(MAKE) --no-print-directory deps deps-check deps-dev
	@$(SUBMAKE) tests-build
	@FUZZ_MUTATIONS=0 PICKET_SOAK_DAYS=2 MODEL_OPS=1 PROGRAM_PREFIX='$(VALGRIND)' $(RUN_TESTS) --name valgrind --limit 1200 \
	    --unit $(UNIT) --fuzz $(FUZZ) --python tests/integration/conversation.py --wrap '$(VALGRIND)'

.PHONY: compat
compat: ## with a real Nomad on one side: NOMAD=path
ifeq ($(NOMAD),)
	@echo 'compat: skipped, NOMAD=<path of a nomad program> is not set'
else
	@test -x '$(NOMAD)' || { echo 'compat: NOMAD=$(NOMAD) is not a program' >&2; exit 1; }
	@$(MAKE) --no-print-directory deps deps-check
	@$(SUBMAKE) all
	@NOMAD='$(abspath $(NOMAD))' $(RUN_TESTS) --name compat --python $(wildcard tests/compat/test_*.py)
endif

# Real fuzzing: clang and libFuzzer, T seconds for each target; what it finds goes to $(B)/fuzz, seeds are the corpus.
T ?= 30
.PHONY: fuzz
fuzz: ## fuzz with libFuzzer: F=<target> (default all), T=<seconds for each>
	@$(MAKE) --no-print-directory deps deps-check deps-dev
	@$(SUBMAKE) B=$(B)/fuzz CC=clang SAN=fuzzer-no-link,address,undefined F='$(F)' fuzz-build
	@tools/run-fuzz $(B)/fuzz $(T) $(if $(F),$(F),$(patsubst $(B)/tests/fuzz/fuzz_%,%,$(FUZZ)))

.PHONY: bench
bench: ## measure: bench/run with the programs (NOMAD=path adds the ratios)
	@$(MAKE) --no-print-directory deps deps-check
	@$(SUBMAKE) bench-build
	@if [ -x bench/run ]; then \
	    PICKET_BIN=$(abspath $(B)/bin) BENCH_BIN=$(abspath $(B)/bench) BENCH_OUT=$(abspath $(B)/bench.json) bench/run; \
	else echo 'bench: bench/run is not there yet'; fi

.PHONY: run
run: ## install what is missing, build, start a server and an agent on loopback; Ctrl-C stops both
	@$(MAKE) --no-print-directory deps
	@$(SUBMAKE) all
	@tools/run-demo $(B)

# ---- rules that programs check ---------------------------------------------------------------------------------------

.PHONY: headers
headers: ## every header compiles alone
headers: $(patsubst %.h,$(B)/headers/%.ok,$(HEADERS))
	@:
$(B)/headers/%.ok: %.h $(B)/flags
	$(call say,HEADER,$<)
	@mkdir -p $(@D)
	$(Q)echo '#include "$<"' | $(CC) $(ALL_CPPFLAGS) -MMD -MP -MF $(@:.ok=.d) -MT $@ $(ALL_CFLAGS) -Werror \
	    -c -o /dev/null -x c -
	@touch $@
-include $(patsubst %.h,$(B)/headers/%.d,$(HEADERS))

.PHONY: layers banned lengths
layers: ## every include is allowed by tools/layers.txt
	@tools/check-layers
banned: ## no banned call
	@tools/check-banned
lengths: ## what has grown (warns only)
	@tools/check-lengths

FORMATTED = $(SOURCES) $(HEADERS)
.PHONY: format format-check
format: ## clang-format in place
	@$(MAKE) --no-print-directory deps-dev
	$(Q)$(if $(FORMATTED),clang-format -i $(FORMATTED))
format-check: ## is everything formatted?
	@$(MAKE) --no-print-directory deps-dev
	@bad=0; for f in $(FORMATTED); do clang-format $$f | cmp -s - $$f || { echo "$$f: run make format"; bad=1; }; done; \
	    exit $$bad

.PHONY: lint tidy cppcheck
lint: ## clang-tidy and cppcheck
	@$(MAKE) --no-print-directory deps deps-check deps-dev
	@$(SUBMAKE) -k tidy cppcheck
tidy: $(patsubst %.c,$(B)/tidy/%.ok,$(SOURCES))
	@:
# Done again when the file, any header or the configuration changes.
$(B)/tidy/%.ok: %.c .clang-tidy tools/lint.h $(HEADERS)
	$(call say,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)clang-tidy --quiet $< -- $(DEFINES) -std=gnu17 $(WARN) -include tools/lint.h >$@.log 2>&1; r=$$?; tools/tidy-summary <$@.log; exit $$r
	@touch $@
cppcheck:
	$(call say,CPPCHK,$(words $(SOURCES)) files)
	$(Q)$(if $(SOURCES),$(CPPCHECK) $(DEFINES) $(SOURCES))
CPPCHECK = cppcheck -q -j$(JOBS) --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
           --suppressions-list=tools/cppcheck.txt '-D__typeof__(x)=void *'

# ---- packages ------------------------------------------------------------------------------------------------------

.PHONY: deps deps-check deps-real deps-dev
.PHONY: deb check-boot
deb: ## Debian packages into $(B)/deb: picket-agent, picket-server, picket, and their debug symbols
	@tools/install-deps packaging/deps.txt packaging/deps-deb.txt
	@tools/make-deb '$(VERSION)' $(B)/deb
check-boot: ## the packages in a Debian that systemd-nspawn boots: do the services behave? (needs root and network)
	@tools/install-deps packaging/deps.txt packaging/deps-deb.txt packaging/deps-boot.txt
	@tools/make-deb '$(VERSION)' $(B)/deb
	@tests/boot/run $(B)/deb '$(VERSION)' $(B)/boot

deps: ## install the packages that building and running needs
deps-check: ## install the packages that the tests need
deps-dev: ## install the packages for format, lint, fuzz, valgrind
deps-real: ## install real peers (docker, etcd, java, qemu) for interoperation runs
deps deps-check deps-real deps-dev: deps%:
	@tools/install-deps packaging/deps$*.txt

# ---- the rest --------------------------------------------------------------------------------------------------------

# Where things go; packages set PREFIX=/usr and UNITDIR.  Configuration is in /etc whatever the prefix.
BINDIR     ?= $(PREFIX)/bin
SBINDIR    ?= $(PREFIX)/sbin
LIBDIR     ?= $(PREFIX)/lib
LIBEXECDIR ?= $(PREFIX)/libexec
SHAREDIR   ?= $(PREFIX)/share
MANDIR     ?= $(PREFIX)/share/man
DOCDIR     ?= $(PREFIX)/share/doc/picket
UNITDIR    ?= $(LIBDIR)/systemd/system
SYSCONFDIR ?= /etc
UNITS      := picketd.service picket-server.service
MANUALS    := $(patsubst docs/man/%.in,%,$(wildcard docs/man/*.in))
PROFILES   := $(notdir $(wildcard sim/profiles/*.json))

.PHONY: man
man: all ## manual pages into $(B)/man
	@tools/make-man $(abspath $(B)/bin) '$(VERSION)' $(abspath $(B)/man)

# A configuration file that is there stays as it is.
put      = install -D -m $(1) $(2) '$(DESTDIR)$(3)'
put_conf = @[ -e '$(DESTDIR)$(3)' ] && echo '  kept    $(DESTDIR)$(3)' || { set -x; $(call put,$(1),$(2),$(3)); }

.PHONY: install uninstall
install: all man ## programs, units, manual pages, configuration that is not there yet: DESTDIR=, PREFIX=/usr/local
	$(call put,755,$(B)/bin/picket,$(BINDIR)/picket)
	$(call put,755,$(B)/bin/picketd,$(SBINDIR)/picketd)
	$(call put,755,$(B)/bin/picket-server,$(SBINDIR)/picket-server)
	$(call put,755,$(B)/bin/picket-probe,$(LIBEXECDIR)/picket/picket-probe)
	$(call put,755,$(B)/bin/picket-sim,$(SBINDIR)/picket-sim)
	for p in $(PROFILES); do install -D -m 644 sim/profiles/$$p '$(DESTDIR)$(SHAREDIR)'/picket/profiles/$$p || exit 1; done
	install -d '$(DESTDIR)$(UNITDIR)'
	for u in $(UNITS); do sed 's|@SBINDIR@|$(SBINDIR)|; s|@LIBDIR@|$(LIBDIR)|; s|@SYSCONFDIR@|$(SYSCONFDIR)|' packaging/$$u.in \
	    >'$(DESTDIR)$(UNITDIR)'/$$u && chmod 644 '$(DESTDIR)$(UNITDIR)'/$$u || exit 1; done
	$(call put,644,packaging/picket-server.sysusers,$(LIBDIR)/sysusers.d/picket-server.conf)
	$(call put,644,packaging/picket-server.tmpfiles,$(LIBDIR)/tmpfiles.d/picket-server.conf)
	$(call put,644,packaging/agent.d-package.hcl,$(LIBDIR)/picket/agent.d/10-agent.hcl)
	$(call put,644,packaging/agent.d-server.hcl,$(LIBDIR)/picket/agent.d/20-beside-server.hcl)
	$(call put_conf,640,packaging/agent.hcl,$(SYSCONFDIR)/picket/agent.hcl)
	$(call put_conf,640,packaging/server.hcl,$(SYSCONFDIR)/picket/server.hcl)
	for m in $(MANUALS); do install -D -m 644 $(B)/man/$$m '$(DESTDIR)$(MANDIR)'/man$${m##*.}/$$m || exit 1; done
	$(if $(DOCDIR),install -d '$(DESTDIR)$(DOCDIR)' && install -m 644 README.md CHANGELOG.md LICENSE '$(DESTDIR)$(DOCDIR)')

uninstall: ## what install has put there; configuration and state stay
	rm -f $(foreach f,$(BINDIR)/picket $(SBINDIR)/picketd $(SBINDIR)/picket-server $(LIBEXECDIR)/picket/picket-probe \
	    $(SBINDIR)/picket-sim $(addprefix $(SHAREDIR)/picket/profiles/,$(PROFILES)) \
	    $(addprefix $(UNITDIR)/,$(UNITS)) $(LIBDIR)/sysusers.d/picket-server.conf $(LIBDIR)/tmpfiles.d/picket-server.conf \
	    $(LIBDIR)/picket/agent.d/10-agent.hcl $(LIBDIR)/picket/agent.d/20-beside-server.hcl \
	    $(foreach m,$(MANUALS),$(MANDIR)/man$(patsubst .%,%,$(suffix $(m)))/$(m)) \
	    $(addprefix $(DOCDIR)/,README.md CHANGELOG.md LICENSE),'$(DESTDIR)$(f)')
	@rmdir $(foreach d,$(LIBDIR)/picket/agent.d $(LIBDIR)/picket $(LIBEXECDIR)/picket $(SHAREDIR)/picket/profiles $(SHAREDIR)/picket $(DOCDIR),'$(DESTDIR)$(d)') 2>/dev/null || true
	@echo 'kept: $(DESTDIR)$(SYSCONFDIR)/picket /var/lib/picketd /var/lib/picket-server'

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile
	@echo '  variables: B=dir V=1 SAN=address,undefined WERROR=1 OPT=-O0 ONLY=text F=target T=seconds NOMAD=path'

.PHONY: clean
clean: ## remove the build folder
	rm -rf $(B)
