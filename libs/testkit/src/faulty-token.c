/*
 * SoftHSM's library, with faults on demand. In the folder FAULTS, which the compiler is told, a file with a function's name makes that function fail, once: `wrong` (a bit of the
 * signature is flipped), `hang`, `crash` (with last words on stderr), `logout` (C_FindObjectsInit: somebody logged out before), or a CK_RV in hexadecimal. A name that ends in `.always` makes it fail as long as it is there.
 * Each C_Login adds an octet to `logins`.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pkcs11.h"

static CK_FUNCTION_LIST list;
static CK_FUNCTION_LIST_PTR real;

static void path(char *to, size_t size, const char *name) {
  snprintf(to, size, "%s/%s", FAULTS, name);
}

/* 1 when there is a fault for this function; the file's text then. */
static int fault(const char *function, char *text, size_t size) {
  char once[4096], always[4096 + 8];
  path(once, sizeof once, function);
  snprintf(always, sizeof always, "%s.always", once);
  FILE *file = fopen(once, "r");
  /* Of several threads the one that removes it has the fault. */
  if (file != NULL && unlink(once) != 0) {
    fclose(file);
    file = NULL;
  }
  if (file == NULL) file = fopen(always, "r");
  if (file == NULL) return 0;
  if (fgets(text, size, file) == NULL) text[0] = 0;
  fclose(file);
  return 1;
}

static CK_RV apply(const char *text) {
  if (strncmp(text, "hang", 4) == 0)
    for (;;) pause();
  if (strncmp(text, "crash", 5) == 0) {
    fputs("vendor: config /etc/vendor.conf\n", stderr);
    raise(SIGSEGV);
  }
  return strtoul(text, NULL, 16);
}

static CK_RV signs(CK_SESSION_HANDLE session, CK_BYTE_PTR data, CK_ULONG length, CK_BYTE_PTR signature,
                   CK_ULONG_PTR signatureLength) {
  char text[64];
  if (!fault("C_Sign", text, sizeof text)) return real->C_Sign(session, data, length, signature, signatureLength);
  if (strncmp(text, "wrong", 5) != 0) return apply(text);
  CK_RV rv = real->C_Sign(session, data, length, signature, signatureLength);
  if (rv == CKR_OK && signature != NULL) signature[*signatureLength - 1] ^= 1;
  return rv;
}

static CK_RV signInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key) {
  char text[64];
  return fault("C_SignInit", text, sizeof text) ? apply(text) : real->C_SignInit(session, mechanism, key);
}

static CK_RV findObjectsInit(CK_SESSION_HANDLE session, CK_ATTRIBUTE_PTR attributes, CK_ULONG count) {
  char text[64];
  if (!fault("C_FindObjectsInit", text, sizeof text)) return real->C_FindObjectsInit(session, attributes, count);
  if (strncmp(text, "logout", 6) != 0) return apply(text);
  CK_RV rv = real->C_Logout(session);
  return rv == CKR_OK ? real->C_FindObjectsInit(session, attributes, count) : rv;
}

static CK_RV openSession(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR application, CK_NOTIFY notify,
                         CK_SESSION_HANDLE_PTR session) {
  char text[64];
  return fault("C_OpenSession", text, sizeof text) ? apply(text)
                                                   : real->C_OpenSession(slot, flags, application, notify, session);
}

static CK_RV generateKeyPair(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR publicTemplate,
                             CK_ULONG publicCount, CK_ATTRIBUTE_PTR privateTemplate, CK_ULONG privateCount,
                             CK_OBJECT_HANDLE_PTR publicKey, CK_OBJECT_HANDLE_PTR privateKey) {
  char text[64];
  int failing = fault("C_GenerateKeyPair", text, sizeof text);
  CK_RV rv = real->C_GenerateKeyPair(session, mechanism, publicTemplate, publicCount, privateTemplate, privateCount,
                                     publicKey, privateKey);
  /* The key is there by then. */
  return failing ? apply(text) : rv;
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG length) {
  char text[64], logins[4096];
  path(logins, sizeof logins, "logins");
  FILE *file = fopen(logins, "a");
  if (file != NULL) {
    fputc('.', file);
    fclose(file);
  }
  return fault("C_Login", text, sizeof text) ? apply(text) : real->C_Login(session, user, pin, length);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR out) {
  void *library = dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW);
  if (library == NULL) return CKR_GENERAL_ERROR;
  CK_C_GetFunctionList get = (CK_C_GetFunctionList)dlsym(library, "C_GetFunctionList");
  CK_RV rv = get(&real);
  if (rv != CKR_OK) return rv;
  list = *real;
  list.C_GetFunctionList = C_GetFunctionList;
  list.C_Sign = signs;
  list.C_SignInit = signInit;
  list.C_FindObjectsInit = findObjectsInit;
  list.C_OpenSession = openSession;
  list.C_GenerateKeyPair = generateKeyPair;
  list.C_Login = login;
  *out = &list;
  return CKR_OK;
}
