/* The patterns are those of the models' own tokenizer.json. */
#include "runtime/word_patterns.h"

#include <string.h>

#define ENGLISH_ENDINGS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define GPT2_WORDS \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define LINES_AND_SPACES "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CL100K_WORDS(digits)                                 \
    ENGLISH_ENDINGS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits \
                    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" LINES_AND_SPACES
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED_WORDS(endings, digits)                                                               \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" endings "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER \
    "*" endings "|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" LINES_AND_SPACES
#define CJK_RUNS "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+"
#define DEEPSEEK_WORDS                                                                          \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}" \
    "\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*" LINES_AND_SPACES

static const struct word_patterns rows[] = {
    {" default ", {"[\\p{P}$+<=>^~|]+", GPT2_WORDS, "\\p{N}+", "[0-9][0-9][0-9]"}, false},
    {" gpt-2 phi-2 mpt olmo jais trillion granite-docling jina-es jina-de gigachat roberta-bpe ",
     {GPT2_WORDS},
     false},
    {" llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 ",
     {CL100K_WORDS("\\p{N}{1,3}")},
     true},
    {" smaug-bpe dbrx chatglm-bpe glm4 ", {CL100K_WORDS("\\p{N}{1,3}")}, false},
    {" qwen2 deepseek-r1-qwen stablelm2 hunyuan solar-open megrez kormo grok-2 ",
     {CL100K_WORDS("\\p{N}")},
     false},
    {" falcon ", {"[\\p{P}$+<=>^~|`]+", GPT2_WORDS, "[0-9][0-9][0-9]"}, false},
    {" starcoder refact command-r smollm codeshell exaone minerva-7b mellum ",
     {"\\p{N}", GPT2_WORDS},
     false},
    {" tekken ", {CASED_WORDS("", "\\p{N}")}, true},
    {" gpt-4o llama4 kanana2 minimax-m2 ",
     {CASED_WORDS(ENGLISH_ENDINGS "?", "\\p{N}{1,3}")},
     false},
    {" deepseek-v3 hunyuan-dense joyai-llm ", {"\\p{N}{1,3}", CJK_RUNS, DEEPSEEK_WORDS}, false},
};

const struct word_patterns *word_patterns_find(const char *name, size_t n_bytes)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (const char *at = rows[i].names; at[1] != '\0';) {
            const char *const begin = at + 1;
            const size_t length = strcspn(begin, " ");
            if (length == n_bytes && memcmp(begin, name, n_bytes) == 0) return &rows[i];
            at = begin + length;
        }
    }
    return NULL;
}
