/* SPDX-License-Identifier: Apache-2.0
 * Part of mod_appcore; see LICENSE. */

#include "spec/elf.h"

#include <elf.h>
#include <string.h>
#include <unistd.h>

#define SECTIONS_MAX 1024
#define SEGMENTS_MAX 64
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

static int is_ours(const Elf64_Ehdr *head)
{
    return !memcmp(head->e_ident, ELFMAG, SELFMAG)
           && head->e_ident[EI_CLASS] == ELFCLASS64
           && head->e_ident[EI_DATA] == OUR_ORDER;
}

static int is_usable(const Elf64_Ehdr *head)
{
    return is_ours(head) && head->e_type == ET_DYN
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

static int64_t find_in(int fd, const Elf64_Phdr *segment, const void *bytes,
                       apr_size_t len, apr_pool_t *p)
{
    const char *data = read_at(fd, segment->p_offset, segment->p_filesz, p);
    const char *at = data ? memmem(data, segment->p_filesz, bytes, len) : NULL;

    return at ? (int64_t)segment->p_offset + (at - data) : -1;
}

int64_t ac_elf_find(int fd, const void *bytes, apr_size_t len, apr_pool_t *ptemp)
{
    const Elf64_Ehdr *head = read_at(fd, 0, sizeof(*head), ptemp);
    const Elf64_Phdr *segments;
    uint64_t left = TABLE_MAX;
    int64_t at = -1;
    int i;

    if (!head || !is_ours(head) || head->e_phnum > SEGMENTS_MAX
        || head->e_phentsize != sizeof(*segments)) {
        return -1;
    }
    segments = read_at(fd, head->e_phoff, head->e_phnum * sizeof(*segments), ptemp);
    for (i = 0; segments && at < 0 && i < head->e_phnum; ++i) {
        const Elf64_Phdr *segment = &segments[i];

        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W)
            && segment->p_filesz <= left) {
            left -= segment->p_filesz;
            at = find_in(fd, segment, bytes, len, ptemp);
        }
    }
    return at;
}
