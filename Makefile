# Ingot. `make help` lists the targets. On the command line or in the environment:
#
#   config=NAME   release (the default) builds into build/, every other one into build/NAME/
#   VULKAN=0      leaves the Vulkan backend out
#   WERROR=1      makes warnings errors
#   V=1           shows the commands
#   CC CPPFLAGS CFLAGS LDFLAGS PREFIX DESTDIR      mean what they mean everywhere

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

# ---------------------------------------------------------------- configurations

flags_release  := -O2 -g
flags_debug    := -O0 -g3
flags_sanitize := -O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
flags_thread   := -O1 -g -fsanitize=thread
flags_coverage := -O0 -g --coverage
flags_clang    := -O1 -g
flags_fuzz     := $(flags_sanitize) -fsanitize=fuzzer-no-link
flags_arm      := -O2 -g

config ?= release
ifeq ($(flags_$(config)),)
$(error config=$(config) is none of $(patsubst flags_%,%,$(filter flags_%,$(.VARIABLES))))
endif
ifneq ($(filter clang fuzz,$(config)),)
CC := clang
endif
PKG_CONFIG := pkg-config
OBJCOPY := objcopy
# For 64-bit ARM, by a compiler that runs here; tests/arm.sh runs what it makes.
ifeq ($(config),arm)
CC := aarch64-linux-gnu-gcc
OBJCOPY := aarch64-linux-gnu-objcopy
VULKAN := 0
PKG_CONFIG := PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig pkg-config
endif

B := build/$(config)
O := $(B)/obj
G := $(B)/gen
OUT := $(if $(filter release,$(config)),build,$(B))

PREFIX ?= /usr/local
FUZZ_SECONDS ?= 1200
VERSION := $(shell sed -n 's/^\#define INGOT_VERSION "\(.*\)"/\1/p' format/ingot.h)
SONAME := libingot.so.$(firstword $(subst ., ,$(VERSION)))

# ---------------------------------------------------------------- what is built

# One line when something is left out; empty when the Vulkan backend is in.
ifeq ($(VULKAN),0)
WITHOUT_VULKAN := VULKAN=0 was given
else ifeq ($(wildcard vulkan/*.c),)
WITHOUT_VULKAN := vulkan/ holds no sources
else ifeq ($(shell command -v glslc),)
WITHOUT_VULKAN := glslc was not found
else ifneq ($(shell $(CC) $(CPPFLAGS) -E -include vulkan/vulkan.h -x c /dev/null >/dev/null 2>&1 || echo no),)
WITHOUT_VULKAN := <vulkan/vulkan.h> was not found
endif
FOLDERS := format convert runtime $(if $(WITHOUT_VULKAN),,vulkan)

LIBRARY_SOURCES := $(wildcard $(FOLDERS:=/*.c))
COMMAND_SOURCES := $(wildcard cli/*.c)
# A kernel that decodes is one module for each map; vulkan/shaders/map.glsl knows them by their names.
MAPS := f32 f16 bf16 integer lookup vector
MASKED_MAPS := $(addprefix sparse_,f32 f16 bf16 integer lookup)
MAPPED_KERNELS := gemv gemm dequant
INTEGER_KERNELS := gemv_dot gemm_dot gemv_half
HALF_MAPS := f16 bf16 integer lookup vector
MODULES := $(foreach kernel,$(MAPPED_KERNELS),$(addprefix $(kernel)_,$(MAPS))) \
           $(foreach kernel,gemv gemm,$(addprefix $(kernel)_,$(MASKED_MAPS))) \
           $(INTEGER_KERNELS:%=%_integer) $(HALF_MAPS:%=gemm_half_%) $(addprefix list_,f32 f16 bf16) \
           reduce gather scatter narrow pair round read peak idle
# Those that need a newer compiler are committed; "make shaders" makes them anew.
# For tests those that products and decoding run, reaching memory by descriptors.
DESCRIPTOR_SPIRV := $(patsubst %,$(G)/descriptors/%.spv,$(filter-out read peak idle,$(MODULES)))
SPIRV := $(if $(WITHOUT_VULKAN),,$(MODULES:%=$(G)/modules/%.spv) $(wildcard vulkan/prebuilt/*.spv))
GENERATED_SOURCES := $(if $(SPIRV),$(G)/vulkan_shaders.c)

LIBRARY_OBJECTS := $(LIBRARY_SOURCES:%.c=$(O)/%.o) $(GENERATED_SOURCES:$(G)/%.c=$(O)/gen/%.o)
COMMAND_OBJECTS := $(COMMAND_SOURCES:%.c=$(O)/%.o)

# tests/FOLDER/test_NAME.c is a program of its own; tests/support/*.c belongs to all of them.
TEST_SOURCES := $(wildcard tests/*/test_*.c)
TESTS_LEFT_OUT := $(if $(WITHOUT_VULKAN),$(filter tests/vulkan/%,$(TEST_SOURCES)))
TEST_PROGRAMS := $(patsubst %.c,$(B)/%,$(filter-out $(TESTS_LEFT_OUT),$(TEST_SOURCES)))
TEST_SUPPORT := $(patsubst %.c,$(O)/%.o,$(wildcard tests/support/*.c))
TEST_SCRIPTS := $(wildcard tests/*/test_*.sh)
CHECKS := $(wildcard tests/check_*.sh)
FAULT_SHIM := $(B)/tests/faults/shim.so
# Programs of this project that scripts of tests/interop run beside those of others.
INTEROP_PROGRAMS := $(patsubst %.c,$(B)/%,$(wildcard tests/interop/*.c))
BENCH_PROGRAMS := $(patsubst %.c,$(B)/%,$(filter-out $(if $(WITHOUT_VULKAN),%/gpu_bench.c),$(wildcard tests/bench/*.c)))
# tests/fuzz/fuzz_NAME.c is a target: a fuzzer with libFuzzer (and mutate_NAME.c, if there is one), and
# with replay.c a program that runs it over the corpus.
FUZZ_PROGRAMS := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAY_PROGRAMS := $(FUZZ_PROGRAMS:$(B)/tests/fuzz/fuzz_%=$(B)/tests/fuzz/replay_%)

# ---------------------------------------------------------------- flags

LIBRARIES := $(shell sh tools/deps.sh --libraries)
LIBRARY_FLAGS := $(shell $(PKG_CONFIG) --cflags $(LIBRARIES) 2>/dev/null)
LIBRARY_LINKS := $(shell $(PKG_CONFIG) --libs $(LIBRARIES) 2>/dev/null)
# libxxhash on x86-64 may have the functions that choose by CPU.
XXH_DISPATCH := $(shell echo 'int main(void) { return XXH3_64bits_dispatch("", 0) == 0; }' | \
    $(CC) -include xxh_x86dispatch.h -x c - -lxxhash -o /dev/null 2>/dev/null && echo -DINGOT_XXH_DISPATCH=1)
CMOCKA_FLAGS = $(shell $(PKG_CONFIG) --cflags cmocka)
CMOCKA_LINKS = $(shell $(PKG_CONFIG) --libs cmocka)

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla
COMPILE = $(CC) -std=c11 -D_GNU_SOURCE -I. -I$(G) $(patsubst -I%,-isystem %,$(LIBRARY_FLAGS)) \
          $(if $(WITHOUT_VULKAN),,-DINGOT_WITH_VULKAN=1) $(XXH_DISPATCH) -fPIC -fno-semantic-interposition \
          -ffp-contract=off -pthread $(WARNINGS) $(if $(filter 1,$(WERROR)),-Werror) \
          $(flags_$(config)) $(CPPFLAGS) $(CFLAGS)
LINK = $(CC) -pthread $(flags_$(config)) -Wl,--as-needed $(LDFLAGS)
LINKS = $(LIBRARY_LINKS) -lm -ldl

say = @$(if $(V),,printf '  %-6s %s\n' '$1' '$2' &&)
# Runs $1 for the text of the target, which is made anew only when that changes it.
if_changed = @mkdir -p $(@D); { $1; } >$@.new && if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
# The recursive calls take every core, unless the caller chose with -j.
PARALLEL = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 2))

# ---------------------------------------------------------------- library and command

.PHONY: all
all: $(OUT)/ingot $(OUT)/libingot.a $(OUT)/libingot.so ## builds the command and the libraries
	@$(if $(WITHOUT_VULKAN),echo 'left out: the Vulkan backend ($(WITHOUT_VULKAN))',:)

$(OUT)/ingot: $(COMMAND_OBJECTS) $(OUT)/libingot.a
	$(call say,link,$@) $(LINK) -o $@ $(COMMAND_OBJECTS) $(OUT)/libingot.a $(LINKS)

$(OUT)/libingot.a: $(LIBRARY_OBJECTS) $(G)/sources
	$(call say,ar,$@) rm -f $@ && $(AR) rcs $@ $(LIBRARY_OBJECTS)

$(OUT)/libingot.so: $(OUT)/$(SONAME)
	@ln -sf $(SONAME) $@

$(OUT)/$(SONAME): $(LIBRARY_OBJECTS) $(G)/sources $(G)/libingot.map
	$(call say,link,$@) $(LINK) -shared -Wl,-soname,$(SONAME) -Wl,--version-script,$(G)/libingot.map \
	    -Wl,--no-undefined -Wl,--no-undefined-version -o $@ $(LIBRARY_OBJECTS) $(LINKS)

$(O)/%.o: %.c $(G)/flags | $(G)/rules.inc
	@mkdir -p $(@D)
	$(call say,cc,$<) $(COMPILE) $(TEST_FLAGS) -MMD -MP -c -o $@ $<

$(O)/gen/%.o: $(G)/%.c $(G)/flags
	@mkdir -p $(@D)
	$(call say,cc,$<) $(COMPILE) -MMD -MP -c -o $@ $<

# ---------------------------------------------------------------- generated files

$(G)/rules.inc: spec/ingot-v1.md tools/rules.awk
	$(call if_changed,awk -f tools/rules.awk $<)

# What libingot.so exports: the functions that the public header declares, and nothing else. One that
# is declared and not written fails the link.
EXPORTS = echo '{ global:'; grep -o 'ingot_[a-z0-9_]*(' $< | sort -u | tr '(' ';'; echo 'local: *; };'
$(G)/libingot.map: format/ingot.h
	$(call if_changed,$(EXPORTS))

# Everything is compiled anew when the flags change, and linked anew when a source comes or goes.
$(G)/flags: FORCE
	@$(if $(LIBRARY_LINKS),:,sh tools/deps.sh --check || { echo '"make deps" installs them.'; exit 1; })
	$(call if_changed,echo '$(COMPILE)')
$(G)/sources: FORCE
	$(call if_changed,echo '$(LIBRARY_OBJECTS) $(SPIRV) $(DESCRIPTOR_SPIRV)')
.PHONY: FORCE

GLSLC = @mkdir -p $(@D) && $(if $(V),,printf '  %-6s %s\n' glslc '$(notdir $@)' &&) \
    glslc --target-env=vulkan1.3 -O $(GLSLC_FLAGS) -Ivulkan/shaders -MD -MF $@.d -MT $@ -o $@ $<
$(G)/descriptors/%.spv: GLSLC_FLAGS := -DBY_DESCRIPTORS
# gemv_sparse_f16 is gemv.comp with MAP_SPARSE_F16.
define mapped_kernel
$(G)/$1/$2_%.spv: vulkan/shaders/$2.comp
	$$(GLSLC) -DMAP_$$$$(echo $$* | tr a-z A-Z)
endef
define modules
$(G)/$1/%.spv: vulkan/shaders/%.comp
	$$(GLSLC)
$(foreach kernel,$(MAPPED_KERNELS) $(INTEGER_KERNELS) gemm_half list,$(call mapped_kernel,$1,$(kernel))
)
endef
$(foreach folder,modules descriptors,$(eval $(call modules,$(folder))))

$(G)/vulkan_shaders.c: vulkan/embed_spirv.sh $(SPIRV) $(G)/sources
	$(call say,embed,$@) sh $< ingot_vk_shaders ingot_vk_n_shaders $(SPIRV) >$@
$(G)/descriptor_shaders.c: vulkan/embed_spirv.sh $(DESCRIPTOR_SPIRV) $(G)/sources
	$(call say,embed,$@) sh $< descriptor_shaders n_descriptor_shaders $(DESCRIPTOR_SPIRV) >$@

# ---------------------------------------------------------------- tests

.PHONY: deps test test-all test-arm test-coopmat build-tests run-tests run-all-tests coverage fixtures shaders

shaders: ## compiles anew the shaders that need a newer compiler, with $GLSLC
	@sh tools/prebuilt_shaders.sh

fixtures: $(B)/tests/golden/make_fixtures ## writes fixtures/bad anew, and golden files that are not there
	@mkdir -p fixtures/golden fixtures/bad && $< fixtures

deps: ## installs what the build needs and does not find
	@sh tools/deps.sh

test: ## runs the tests, as they are and under the address and undefined-behaviour sanitizers
	@sh tools/deps.sh --for-build
	@$(MAKE) $(PARALLEL) config=release all build-tests
	@$(MAKE) $(PARALLEL) config=sanitize build-tests
	@$(MAKE) config=release run-tests

test-all: ## the same, and the debug build, the thread sanitizer and a build by clang
	@sh tools/deps.sh --for-build
	@$(MAKE) $(PARALLEL) config=release all build-tests
	@for config in sanitize debug thread $$(command -v clang >/dev/null && echo clang); do \
	    $(MAKE) $(PARALLEL) config=$$config build-tests || exit 1; done
	@$(MAKE) config=release run-all-tests

build-tests: $(OUT)/ingot $(TEST_PROGRAMS) $(INTEROP_PROGRAMS) $(REPLAY_PROGRAMS) $(FAULT_SHIM)
	@:

$(B)/tests/%: $(O)/tests/%.o $(TEST_SUPPORT) $(OUT)/libingot.a
	@mkdir -p $(@D)
	$(call say,link,$@) $(LINK) -o $@ $(filter %.o,$^) $(OUT)/libingot.a $(CMOCKA_LINKS) $(LINKS)

$(B)/tests/vulkan/test_sync: $(O)/gen/descriptor_shaders.o

# It is carried to other machines: of shared libraries it takes those of the C library alone.
$(B)/tests/bench/gpu_bench: $(O)/tests/bench/gpu_bench.o $(OUT)/libingot.a
	@mkdir -p $(@D)
	$(call say,link,$@) $(LINK) -static-libgcc -o $@ $^ -lm -ldl

# Loaded into the command before all else, where a sanitizer would want to be.
$(FAULT_SHIM): $(O)/tests/faults/shim.o
	@mkdir -p $(@D)
	$(call say,link,$@) $(CC) -shared $(LDFLAGS) -o $@ $<
# Loops over weights are left to the compiler's vectorizer where no kernel is written for them.
WEIGHT_LOOPS := encode_grid encode_nested encode_slabs fit_plain fit_search grid measure planes raw_values sums
$(WEIGHT_LOOPS:%=$(O)/convert/%.o): private flags_release := -O3 -g -fno-math-errno -fno-trapping-math
$(O)/tests/faults/shim.o: private flags_$(config) := -O1 -g
# With what the sanitizers add, the usual search for registers takes minutes in the largest kernels.
ifeq ($(config),sanitize)
BRIEF_SEARCH := $(shell $(CC) -Werror -fira-region=one -fsyntax-only -x c /dev/null 2>/dev/null && echo -fira-region=one)
$(O)/runtime/cpu_avx512_%.o: private flags_sanitize += $(BRIEF_SEARCH)
endif

$(O)/tests/%.o: private TEST_FLAGS = $(CMOCKA_FLAGS)
.SECONDARY: $(TEST_SUPPORT) $(TEST_PROGRAMS:$(B)/%=$(O)/%.o) $(INTEROP_PROGRAMS:$(B)/%=$(O)/%.o) $(BENCH_PROGRAMS:$(B)/%=$(O)/%.o) $(O)/tests/fuzz/replay.o $(O)/tests/golden/make_fixtures.o $(FUZZ_PROGRAMS:$(B)/%=$(O)/%.o)

# The tests of one configuration as tests/run.sh takes them: group NAME,FOLDERS,SCRIPTS. The drivers
# of Vulkan devices leak and race, so tests/vulkan stays out of the sanitizers' groups.
group = --config $1 $(if $(filter release,$1),build,build/$1)/ingot $3 \
        $(patsubst $(B)/%,build/$1/%,$(filter $(2:%=$(B)/tests/%/%),$(TEST_PROGRAMS)))
CHECKED_FOLDERS := api format convert runtime cli
ALL_FOLDERS := $(sort $(patsubst tests/%/,%,$(dir $(TEST_SOURCES))))

# What other programs are needed for takes minutes, and is for test-all.
QUICK_SCRIPTS := $(filter-out tests/interop/%,$(TEST_SCRIPTS))

test-arm: ## builds for 64-bit ARM and runs the tests of format and runtime in an emulator
	@sh tests/arm.sh || [ $$? -eq 77 ]

test-coopmat: ## runs the kernels on matrix units on a newer software driver, where there is one
	@sh tools/deps.sh --for-build
	@$(MAKE) $(PARALLEL) config=release $(B)/tests/vulkan/test_rungs
	@BUILD=$(B) sh tests/coopmat.sh || [ $$? -eq 77 ]

run-tests:
	@sh tests/run.sh $(call group,release,$(ALL_FOLDERS),$(CHECKS) $(QUICK_SCRIPTS)) $(TESTS_LEFT_OUT) \
	    $(call group,sanitize,$(CHECKED_FOLDERS),tests/fuzz/test_corpus.sh)

run-all-tests:
	@sh tests/run.sh $(call group,release,$(ALL_FOLDERS),$(CHECKS) $(TEST_SCRIPTS)) $(TESTS_LEFT_OUT) \
	    $(call group,sanitize,$(CHECKED_FOLDERS),$(TEST_SCRIPTS)) \
	    $(call group,debug,$(ALL_FOLDERS),$(TEST_SCRIPTS)) \
	    $(call group,thread,format runtime api)

coverage: ## runs the tests and tells which lines they reach
	@sh tools/deps.sh --for-build
	@$(MAKE) $(PARALLEL) config=coverage build-tests
	@find build/coverage -name '*.gcda' -exec rm {} +
	@$(MAKE) config=coverage run-coverage
.PHONY: run-coverage
run-coverage:
	@sh tests/run.sh $(call group,coverage,$(ALL_FOLDERS),$(TEST_SCRIPTS))
	@gcov -n $(filter-out $(O)/gen/%,$(LIBRARY_OBJECTS)) $(COMMAND_OBJECTS) 2>/dev/null | awk -f tools/coverage.awk

# ---------------------------------------------------------------- demonstrations and measurements

.PHONY: demo bench gpu-bench fuzz fuzz-programs

demo: ## converts, inspects and runs a small model, step by step
	@sh tools/deps.sh --for-build
	@$(MAKE) $(PARALLEL) config=release all
	@sh tools/demo.sh

bench: all $(BENCH_PROGRAMS) ## measures speed on the CPU
	@sh tools/bench.sh

# Of this build only the program is needed on the machine that is measured, and a Vulkan driver there.
gpu-bench: $(B)/tests/bench/gpu_bench ## measures speed on the first Vulkan device, in at most 8 minutes
	@$< --json build/gpu-bench.json

fuzz: ## runs each fuzzer of tests/fuzz for FUZZ_SECONDS (1200)
	@command -v clang >/dev/null || { echo 'fuzz: needs clang'; exit 1; }
	@[ -n '$(FUZZ_PROGRAMS)' ] || { echo 'fuzz: there is no tests/fuzz/fuzz_*.c'; exit 1; }
	@$(MAKE) $(PARALLEL) config=fuzz fuzz-programs
	@for fuzzer in $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)); do \
	    mkdir -p build/fuzz/corpus/$$fuzzer tests/fuzz/corpus/$$fuzzer && \
	    golden=; [ $$fuzzer != ingot ] || golden=fixtures/golden; \
	    dict=; [ -f tests/fuzz/$$fuzzer.dict ] && dict=-dict=tests/fuzz/$$fuzzer.dict; \
	    build/fuzz/tests/fuzz/fuzz_$$fuzzer -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=build/fuzz/ $$dict \
	        build/fuzz/corpus/$$fuzzer tests/fuzz/corpus/$$fuzzer $$golden || exit 1; done

fuzz-programs: $(FUZZ_PROGRAMS)

$(B)/tests/fuzz/fuzz_%: $(O)/tests/fuzz/fuzz_%.o $(OUT)/libingot.a
	@mkdir -p $(@D)
	$(call say,link,$@) $(LINK) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(OUT)/libingot.a $(LINKS)
$(patsubst tests/fuzz/mutate_%.c,$(B)/tests/fuzz/fuzz_%,$(wildcard tests/fuzz/mutate_*.c)): \
    $(B)/tests/fuzz/fuzz_%: $(O)/tests/fuzz/mutate_%.o
$(B)/tests/fuzz/replay_%: $(O)/tests/fuzz/fuzz_%.o $(O)/tests/fuzz/replay.o $(OUT)/libingot.a
	@mkdir -p $(@D)
	$(call say,link,$@) $(LINK) -o $@ $(filter %.o,$^) $(OUT)/libingot.a $(LINKS)

# ---------------------------------------------------------------- installing

.PHONY: install uninstall

BIN := $(DESTDIR)$(PREFIX)/bin
LIB := $(DESTDIR)$(PREFIX)/lib
INCLUDE := $(DESTDIR)$(PREFIX)/include
MAN := $(DESTDIR)$(PREFIX)/share/man/man1
COMPLETIONS := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
PYTHON := $(DESTDIR)$(PREFIX)/share/ingot

# Manual pages and completion say what the command says of itself.
$(G)/man: $(OUT)/ingot tools/man.sh tools/verbs.sh
	@rm -rf $@
	$(call say,man,$@) sh tools/man.sh $< $@
$(G)/ingot.bash: $(OUT)/ingot tools/completion.sh tools/verbs.sh
	$(call if_changed,sh tools/completion.sh $<)

# As the shared library, the archive keeps the names to itself that the public header does not have:
# it is one object, and a program may have functions of those names.
$(G)/static/libingot.a: $(LIBRARY_OBJECTS) $(G)/sources $(G)/libingot.map
	@mkdir -p $(@D) && grep -o 'ingot_[a-z0-9_]*' $(G)/libingot.map >$(@D)/names
	$(call say,ar,$@) $(CC) -r -nostdlib -o $(@D)/ingot.o $(LIBRARY_OBJECTS) && \
	    $(OBJCOPY) --keep-global-symbols=$(@D)/names $(@D)/ingot.o && rm -f $@ && $(AR) rcs $@ $(@D)/ingot.o

install: all $(G)/static/libingot.a $(G)/man $(G)/ingot.bash ## installs command, libraries, ingot.h, ingot.pc, ingot.py, manual pages and completion under PREFIX (/usr/local)
	install -d $(BIN) $(LIB)/pkgconfig $(INCLUDE) $(MAN) $(COMPLETIONS) $(PYTHON)
	install -m 755 $(OUT)/ingot $(BIN)/ingot
	install -m 644 $(G)/static/libingot.a $(LIB)/libingot.a
	install -m 755 $(OUT)/$(SONAME) $(LIB)/libingot.so.$(VERSION)
	ln -sf libingot.so.$(VERSION) $(LIB)/$(SONAME)
	ln -sf $(SONAME) $(LIB)/libingot.so
	install -m 644 format/ingot.h $(INCLUDE)/ingot.h
	install -m 644 python/ingot.py $(PYTHON)/ingot.py
	install -m 644 $(G)/man/*.1 $(MAN)
	install -m 644 $(G)/ingot.bash $(COMPLETIONS)/ingot
	printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' 'Name: ingot' \
	    'Description: compression-aware model container' 'Version: $(VERSION)' 'Requires.private: $(LIBRARIES)' \
	    'Libs: -L$${libdir} -lingot' 'Libs.private: -lm -ldl -pthread' 'Cflags: -I$${includedir}' \
	    >$(LIB)/pkgconfig/ingot.pc

uninstall: $(G)/man ## removes what install put there
	rm -f $(BIN)/ingot $(LIB)/libingot.a $(LIB)/libingot.so $(LIB)/$(SONAME) $(LIB)/libingot.so.$(VERSION) \
	    $(INCLUDE)/ingot.h $(LIB)/pkgconfig/ingot.pc $(addprefix $(MAN)/,$(notdir $(wildcard $(G)/man/*.1))) \
	    $(COMPLETIONS)/ingot $(PYTHON)/ingot.py

# ---------------------------------------------------------------- the rest

.PHONY: format clean help

format: ## lays out all C code with clang-format
	clang-format -i $(shell sh tests/check_style.sh --files)

clean: ## removes build/
	rm -rf build

help: ## lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

-include $(LIBRARY_OBJECTS:.o=.d) $(COMMAND_OBJECTS:.o=.d) $(SPIRV:=.d) $(DESCRIPTOR_SPIRV:=.d) \
         $(TEST_SOURCES:%.c=$(O)/%.d) $(BENCH_PROGRAMS:$(B)/%=$(O)/%.d) $(INTEROP_PROGRAMS:$(B)/%=$(O)/%.d) $(TEST_SUPPORT:.o=.d) $(O)/tests/faults/shim.d $(FUZZ_PROGRAMS:$(B)/%=$(O)/%.d)
