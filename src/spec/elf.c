/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/elf.h"

#include <elf.h>
#include <string.h>
#include <unistd.h>

#define SECTIONS_MAX 1024
#define TABLE_MAX (4 * 1024 * 1024)

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OUR_ORDER ELFDATA2LSB
#else
#define OUR_ORDER ELFDATA2MSB
#endif

/* `size` bytes at `offset`, or NULL. */
static void *read_at(int fd, uint64_t offset, uint64_t size, apr_pool_t *p)
{
    void *data;

    if (size == 0 || size > TABLE_MAX || offset > INT64_MAX - TABLE_MAX) {
        return NULL;
    }
    data = apr_palloc(p, size);
    return pread(fd, data, size, (off_t)offset) == (ssize_t)size ? data : NULL;
}

static int is_usable(const Elf64_Ehdr *head)
{
    return !memcmp(head->e_ident, ELFMAG, SELFMAG)
           && head->e_ident[EI_CLASS] == ELFCLASS64
           && head->e_ident[EI_DATA] == OUR_ORDER && head->e_type == ET_DYN
           && head->e_shentsize == sizeof(Elf64_Shdr)
           && head->e_shnum > 0 && head->e_shnum <= SECTIONS_MAX;
}

static int defines(const Elf64_Sym *sym, const char *names, uint64_t names_size,
                   const char *symbol)
{
    apr_size_t len = strlen(symbol) + 1;

    return sym->st_shndx != SHN_UNDEF
           && (ELF64_ST_BIND(sym->st_info) == STB_GLOBAL
               || ELF64_ST_BIND(sym->st_info) == STB_WEAK)
           && ELF64_ST_VISIBILITY(sym->st_other) == STV_DEFAULT
           && sym->st_name < names_size && names_size - sym->st_name >= len
           && !memcmp(names + sym->st_name, symbol, len);
}

static int table_defines(int fd, const Elf64_Shdr *symbols, const Elf64_Shdr *strings,
                         const char *symbol, apr_pool_t *p)
{
    const Elf64_Sym *syms = read_at(fd, symbols->sh_offset, symbols->sh_size, p);
    const char *names = read_at(fd, strings->sh_offset, strings->sh_size, p);
    uint64_t i, n = symbols->sh_size / sizeof(*syms);

    for (i = 0; syms && names && i < n; ++i) {
        if (defines(&syms[i], names, strings->sh_size, symbol)) {
            return 1;
        }
    }
    return 0;
}

int ac_elf_exports(int fd, const char *symbol, apr_pool_t *ptemp)
{
    const Elf64_Ehdr *head = read_at(fd, 0, sizeof(*head), ptemp);
    const Elf64_Shdr *sections;
    int i;

    if (!head || !is_usable(head)) {
        return 0;
    }
    sections = read_at(fd, head->e_shoff, head->e_shnum * sizeof(*sections), ptemp);
    for (i = 0; sections && i < head->e_shnum; ++i) {
        if (sections[i].sh_type == SHT_DYNSYM && sections[i].sh_link < head->e_shnum) {
            return table_defines(fd, &sections[i], &sections[sections[i].sh_link], symbol,
                                 ptemp);
        }
    }
    return 0;
}
