/* Kept values as codes of up to 8 bits through a table. */
#include "value_codes.glsl"

void values_begin() {}

float value_at(uint i)
{
    return uintBitsToFloat(WORD(HEADER.book + value_code(i)));
}
