/* cmocka with the headers that it needs before it. */
#ifndef INGOT_TESTS_SUPPORT_UNIT_H
#define INGOT_TESTS_SUPPORT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
