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
LAYERS   := base codec model conf wire fingerprint drivers state api fwd agent server cli probe
TOPS     := agent server cli probe
LIBRARY  := $(filter-out $(TOPS),$(LAYERS))

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
PROGRAMS := $(foreach p,picketd picket-server picket picket-probe,$(if $(wildcard $(main_$(p))/main.c),$(p)))

# What each program may need; --as-needed leaves out what it does not use.  No pkg-config: these never move.
libs_picketd       := -lsystemd -ljson-c -lhttp_parser -lz -lcap
libs_picket-server := -lsystemd -ljson-c -lhttp_parser -lz -lsqlite3
libs_picket        := -lcurl -ljson-c -lsystemd
libs_picket-probe  := -lsystemd -ljson-c -lhttp_parser -lz -lcap
LIBS_ALL := -lsystemd -ljson-c -lhttp_parser -lz -lcap -lsqlite3 -lcurl

UNIT     := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/*/test_*.c))
FUZZ     := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH    := $(patsubst %.c,$(B)/%,$(wildcard bench/bench_*.c))
HELPERS  := $(wildcard tests/support/*.c)
HEADERS  := $(wildcard $(addsuffix /*.h,$(LAYERS) task tests/support tests/unit/* tests/fuzz bench))
SOURCES  := $(wildcard $(addsuffix /*.c,$(LAYERS) task tests/support tests/unit/* tests/fuzz bench))

# ---- flags ---------------------------------------------------------------------------------------------------------

OPT      ?= -O2
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla -Wformat=2 \
            -Wno-missing-field-initializers
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
$(B)/tests/unit/$(1)/%: $(B)/tests/unit/$(1)/%.o $(B)/libsupport.a $(call link_with,$(1))
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(ALL_CFLAGS) $$(ALL_LDFLAGS) -o $$@ $$^ $$(LIBS_ALL) -lcmocka -lmsgpackc
endef
$(foreach l,$(sort $(notdir $(patsubst %/,%,$(wildcard tests/unit/*/)))),$(eval $(call UNIT_TEST,$(l))))

$(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/driver.o $(B)/libsupport.a $(call archives,$(LIBRARY))
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_ALL)

$(B)/bench/bench_%: $(B)/bench/bench_%.o $(B)/libbench.a $(B)/libsupport.a $(call archives,$(LAYERS))
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_ALL)

.PHONY: tests-build
tests-build: $(UNIT) $(FUZZ)

.PHONY: headers
headers: $(patsubst %.h,$(B)/headers/%.ok,$(HEADERS))
$(B)/headers/%.ok: %.h $(B)/flags
	$(call say,HEADER,$<)
	@mkdir -p $(@D)
	$(Q)echo '#include "$<"' | $(CC) $(ALL_CPPFLAGS) -MMD -MP -MF $(@:.ok=.d) -MT $@ $(ALL_CFLAGS) -Werror \
	    -c -o /dev/null -x c -
	@touch $@
-include $(patsubst %.h,$(B)/headers/%.d,$(HEADERS))

# ---- packages ------------------------------------------------------------------------------------------------------

.PHONY: deps deps-check deps-real deps-dev
deps deps-check deps-real deps-dev: deps%:
	@tools/install-deps packaging/deps$*.txt

.PHONY: clean
clean:
	rm -rf $(B)
