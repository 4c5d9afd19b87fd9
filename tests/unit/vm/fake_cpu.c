/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/vm/fake_cpu.h"

#include "vmm/base/types.h"
#include "vmm/host/msr.h"
#include "vmm/vm/model.h"

#define LEAVES_MAX 64U
#define MSRS_MAX   16U

struct leaf {
    uint32_t leaf, subleaf;
    struct cpuid out;
};

static struct leaf leaves[LEAVES_MAX];
static unsigned leaf_count;
static struct {
    uint32_t msr;
    uint64_t value;
} msrs[MSRS_MAX];
static unsigned msr_count;
uint64_t fake_xcr0;
bool fake_xcr0_refuses;

static const struct leaf milan[] = {
    {0x00000000, 0,  {0x10, 0x68747541, 0x444d4163, 0x69746e65}      },
    {0x00000001, 0,  {0x00a00f11, 0x2b400800, 0x7efa320b, 0x178bfbff}},
    {0x00000005, 0,  {0x40, 0x40, 3, 0x11}                           },
    {0x00000006, 0,  {4, 0, 1, 0}                                    },
    {0x00000007, 0,  {0, 0x219c97a9, 0x0040069c, 0x00000010}         },
    {0x0000000b, 0,  {1, 2, 0x100, 0x2b}                             },
    {0x0000000b, 1,  {7, 0x80, 0x201, 0x2b}                          },
    {0x0000000d, 0,  {0x207, 0x340, 0x988, 0}                        },
    {0x0000000d, 1,  {0xf, 0x340, 0x1800, 0}                         },
    {0x0000000d, 2,  {0x100, 0x240, 0, 0}                            },
    {0x0000000d, 9,  {8, 0x980, 0, 0}                                },
    {0x0000000d, 11, {0x10, 0, 1, 0}                                 },
    {0x0000000f, 0,  {0, 0xff, 0, 2}                                 },
    {0x00000010, 0,  {0, 2, 0, 0}                                    },
    {0x80000000, 0,  {0x80000023, 0x68747541, 0x444d4163, 0x69746e65}},
    {0x80000001, 0,  {0x00a00f11, 0x40000000, 0x75c237ff, 0x2fd3fbff}},
    {0x80000002, 0,  {0x20444d41, 0x43595045, 0x31373720, 0x34362033}},
    {0x80000005, 0,  {0xff40ff40, 0xff40ff40, 0x20080140, 0x20080140}},
    {0x80000006, 0,  {0x48002200, 0x68004200, 0x02006140, 0x08009140}},
    {0x80000007, 0,  {0, 0x3b, 0, 0x6799}                            },
    {0x80000008, 0,  {0x00003030, 0x791ef257, 0x0000707f, 0x00010007}},
    {0x8000000a, 0,  {1, 0x8000, 0, 0x1ebfbcff}                      },
    {0x80000019, 0,  {0xf040f040, 0xf0400000, 0, 0}                  },
    {0x8000001a, 0,  {6, 0, 0, 0}                                    },
    {0x8000001b, 0,  {0x3ff, 0, 0, 0}                                },
    {0x8000001d, 0,  {0x4121, 0x1c0003f, 0x3f, 0}                    },
    {0x8000001e, 0,  {0x2b, 0x115, 0x300, 0}                         },
    {0x8000001f, 0,  {0x0101fd3f, 0x00004173, 0x1fd, 1}              },
};

static const struct leaf genoa[] = {
    {0x00000001, 0, {0x00a10f11, 0x05c00800, 0x7efa320b, 0x178bfbff}},
    {0x00000007, 0, {1, 0xf1bf97a9, 0x00415fde, 0x10000010}         },
    {0x00000007, 1, {0x20, 0, 0, 0}                                 },
    {0x0000000d, 0, {0x2e7, 0x980, 0x988, 0}                        },
    {0x0000000d, 1, {0xf, 0x980, 0x1800, 0}                         },
    {0x0000000d, 5, {0x40, 0x340, 0, 0}                             },
    {0x0000000d, 6, {0x200, 0x380, 0, 0}                            },
    {0x0000000d, 7, {0x400, 0x580, 0, 0}                            },
    {0x80000001, 0, {0x00a10f11, 0x40000000, 0x75c237ff, 0x2fd3fbff}},
    {0x80000008, 0, {0x00003934, 0x791ef257, 0x0000707f, 0x00010007}},
};

static const struct leaf intel[] = {
    {0x00000000, 0, {0x16, 0x756e6547, 0x6c65746e, 0x49656e69}      },
    {0x00000001, 0, {0x00050657, 0x0f400800, 0x7ffefbff, 0xbfebfbff}},
    {0x00000002, 0, {0x76036301, 0x00f0b5ff, 0, 0x00c30000}         },
    {0x00000004, 0, {0x7c004121, 0x1c0003f, 0x3f, 0}                },
    {0x00000005, 0, {0x40, 0x40, 3, 0x2020}                         },
    {0x00000006, 0, {0xef7, 2, 9, 0}                                },
    {0x00000007, 0, {0, 0xd39ffffb, 0x00000818, 0xbc002400}         },
    {0x0000000a, 0, {0x08300404, 0, 0, 0x603}                       },
    {0x0000000b, 0, {1, 2, 0x100, 0x0f}                             },
    {0x0000000d, 0, {0x2ff, 0xa80, 0xa88, 0}                        },
    {0x0000000d, 1, {0xf, 0xa08, 0x100, 0}                          },
    {0x0000000d, 2, {0x100, 0x240, 0, 0}                            },
    {0x0000000d, 3, {0x40, 0x3c0, 0, 0}                             },
    {0x0000000d, 4, {0x40, 0x400, 0, 0}                             },
    {0x0000000d, 5, {0x40, 0x440, 0, 0}                             },
    {0x0000000d, 6, {0x200, 0x480, 0, 0}                            },
    {0x0000000d, 7, {0x400, 0x680, 0, 0}                            },
    {0x0000000d, 8, {0x80, 0, 1, 0}                                 },
    {0x0000000d, 9, {8, 0xa80, 0, 0}                                },
    {0x00000015, 0, {2, 0xa8, 0, 0}                                 },
    {0x80000000, 0, {0x80000008, 0, 0, 0}                           },
    {0x80000001, 0, {0, 0, 0x121, 0x2c100800}                       },
    {0x80000006, 0, {0, 0, 0x01006040, 0}                           },
    {0x80000007, 0, {0, 0, 0, 0x100}                                },
    {0x80000008, 0, {0x302e, 0, 0, 0}                               },
};

static const struct leaf old[] = {
    {0x00000000, 0, {5, 0x68747541, 0x444d4163, 0x69746e65}         },
    {0x00000001, 0, {0x00100f42, 0x00020800, 0x00802009, 0x178bfbff}},
    {0x80000000, 0, {0x8000001b, 0x68747541, 0x444d4163, 0x69746e65}},
    {0x80000001, 0, {0x00100f42, 0x10000000, 0x000037ff, 0xefd3fbff}},
    {0x80000007, 0, {0, 0, 0, 0x1f9}                                },
    {0x80000008, 0, {0x3030, 0, 0x1003, 0}                          },
    {0x8000000a, 0, {1, 0x40, 0, 0xf}                               },
};

void fake_cpuid_set(uint32_t leaf, uint32_t subleaf, struct cpuid out)
{
    unsigned i = 0;

    while (i < leaf_count && (leaves[i].leaf != leaf || leaves[i].subleaf != subleaf)) {
        i++;
    }
    leaf_count += i == leaf_count;
    leaves[i] = (struct leaf){leaf, subleaf, out};
    model_init();
}

static void add(const struct leaf *from, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        fake_cpuid_set(from[i].leaf, from[i].subleaf, from[i].out);
    }
}

static void begin(const struct leaf *from, unsigned count)
{
    leaf_count = 0;
    msr_count = 0;
    fake_xcr0 = 1;
    fake_xcr0_refuses = false;
    add(from, count);
}

void fake_cpu_milan(void)
{
    begin(milan, ARRAY_SIZE(milan));
}

void fake_cpu_genoa(void)
{
    begin(milan, ARRAY_SIZE(milan));
    add(genoa, ARRAY_SIZE(genoa));
}

void fake_cpu_intel(void)
{
    begin(intel, ARRAY_SIZE(intel));
}

void fake_cpu_old(void)
{
    begin(old, ARRAY_SIZE(old));
}

/* A leaf beyond the highest gives what it likes: all ones show best that somebody did not check. */
struct cpuid cpuid_read(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid out = {0};

    for (unsigned i = 0; i < leaf_count; i++) {
        bool same = leaves[i].leaf == leaf;

        if (leaves[i].leaf == (leaf & 0x80000000) && leaf > leaves[i].out.eax) {
            return (struct cpuid){UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
        }
        /* Most leaves do not look at the subleaf. */
        if (same && (leaves[i].subleaf == subleaf || (leaf != 7 && leaf != 0xb && leaf != 0xd))) {
            out = leaves[i].out;
        }
    }
    return out;
}

void fake_msr_set(uint32_t msr, uint64_t value)
{
    unsigned i = 0;

    while (i < msr_count && msrs[i].msr != msr) {
        i++;
    }
    msr_count += i == msr_count;
    msrs[i].msr = msr;
    msrs[i].value = value;
}

static uint64_t *find(uint32_t msr)
{
    for (unsigned i = 0; i < msr_count; i++) {
        if (msrs[i].msr == msr) {
            return &msrs[i].value;
        }
    }
    return NULL;
}

uint64_t fake_msr(uint32_t msr)
{
    const uint64_t *value = find(msr);

    return value ? *value : 0;
}

enum status msr_read(uint32_t msr, uint64_t *value)
{
    *value = fake_msr(msr);
    return find(msr) ? STATUS_OK : STATUS_UNSUPPORTED;
}

enum status msr_write(uint32_t msr, uint64_t value)
{
    uint64_t *at = find(msr);

    if (!at) {
        return STATUS_UNSUPPORTED;
    }
    *at = value;
    return STATUS_OK;
}

bool fpu_write_xcr0(uint64_t value)
{
    if (fake_xcr0_refuses) {
        return false;
    }
    fake_xcr0 = value;
    return true;
}
