/* SPDX-License-Identifier: Apache-2.0 */
/* sha256: the examples of FIPS 180-4's companion document, other lengths by coreutils' sha256sum, and pieces. */
#include <stdbool.h>
#include <string.h>

#include "model/sha256.h"
#include "unit.h"

static const char *
hash(const void *bytes, size_t n, size_t piece)
{
    static char hex[SHA256_HEX];
    struct sha256 s;

    sha256_start(&s);
    for (size_t i = 0; i < n; i += piece)
        sha256_add(&s, (const char *)bytes + i, n - i < piece ? n - i : piece);
    sha256_hex(hex, &s);
    return hex;
}

int
main(void)
{
    static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    static unsigned char a[1000000];
    bool same = true;
    char whole[SHA256_HEX];

    CHECK(strcmp(hash("abc", 3, 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") == 0, "abc");
    CHECK(strcmp(hash("", 0, 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855") == 0, "nothing");
    CHECK(strcmp(hash(two, 56, 56), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1") == 0,
        "56 bytes, whose length needs a second block");
    memset(a, 'a', sizeof a);
    CHECK(strcmp(hash(a, sizeof a, sizeof a), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0") == 0,
        "a million a");
    for (size_t n = 0; n < 200; n++) {
        (void)strcpy(whole, hash(a, n, n + 1));
        for (size_t piece = 1; piece < 70; piece += 3)
            same = same && strcmp(whole, hash(a, n, piece)) == 0;
    }
    CHECK(same, "pieces of any size give what the whole gives");
    return unit_done();
}
