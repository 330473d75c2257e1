#pragma once

// The SHA256_* contexts and EC_KEY are "deprecated" in OpenSSL 3 but remain. On short input the contexts are five times
// faster than EVP; EC_KEY needs no look-up of an algorithm, and no lock, per operation.
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/obj_mac.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
