/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS 1.3 and nothing older: certificates on both sides, or a key that both have. */
#include "guest/agent/wire.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PSK_LINE_MAX 512

#define PRIORITY_CERTIFICATES "NORMAL:-VERS-ALL:+VERS-TLS1.3"
/* With ephemeral keys besides: who learns the key later cannot read what was recorded. */
#define PRIORITY_PSK "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK:+DHE-PSK"

static struct {
    gnutls_certificate_credentials_t certificates;
    gnutls_psk_client_credentials_t psk_client;
    gnutls_psk_server_credentials_t psk_server;
    const char *psk_file;
    const char *peer;
    bool insecure;
} tls;

static bool said(const char *what, int error)
{
    agent_say("%s: %s", what, gnutls_strerror(error));
    return false;
}

/* What only this side may know. */
static void check_secret(const char *path)
{
    struct stat file;

    if (stat(path, &file) == 0 && (file.st_mode & (S_IWGRP | S_IRWXO)) != 0) {
        agent_say("%s: a secret that others can reach: its mode should be 0600", path);
    }
}

static bool init_certificates(const struct agent_options *o)
{
    int error = gnutls_certificate_allocate_credentials(&tls.certificates);

    if (error < 0) {
        return said("TLS", error);
    }
    check_secret(o->tls_key);
    error =
        gnutls_certificate_set_x509_trust_file(tls.certificates, o->tls_ca, GNUTLS_X509_FMT_PEM);
    if (error <= 0) {
        return said(o->tls_ca, error < 0 ? error : GNUTLS_E_NO_CERTIFICATE_FOUND);
    }
    error = gnutls_certificate_set_x509_key_file(tls.certificates, o->tls_cert, o->tls_key,
                                                 GNUTLS_X509_FMT_PEM);
    return error >= 0 || said(o->tls_cert, error);
}

/* The first line of the file, NAME:HEX, is ours; others may call with any of its lines. */
static bool init_psk(const char *path)
{
    char line[PSK_LINE_MAX] = "";
    FILE *file = fopen(path, "re");
    bool read = file != NULL && fgets(line, sizeof(line), file) != NULL;

    check_secret(path);
    if (file != NULL) {
        (void)fclose(file);
    }
    line[strcspn(line, "\r\n")] = '\0';
    char *colon = strchr(line, ':');

    if (!read || colon == NULL || colon == line || colon[1] == '\0') {
        agent_say("%s: it has to be a line NAME:HEX", path);
        return false;
    }
    *colon = '\0';
    const gnutls_datum_t key = {(unsigned char *)colon + 1, (unsigned)strlen(colon + 1)};
    int error = gnutls_psk_allocate_client_credentials(&tls.psk_client);

    error = error < 0
                ? error
                : gnutls_psk_set_client_credentials(tls.psk_client, line, &key, GNUTLS_PSK_KEY_HEX);
    error = error < 0 ? error : gnutls_psk_allocate_server_credentials(&tls.psk_server);
    error = error < 0 ? error : gnutls_psk_set_server_credentials_file(tls.psk_server, path);
    gnutls_memset(line, 0, sizeof(line));
    tls.psk_file = path;
    return error >= 0 || said(path, error);
}

bool tls_init(const struct agent_options *o)
{
    tls.insecure = o->insecure;
    tls.peer = o->tls_peer;
    if (o->tls_cert != NULL) {
        return init_certificates(o);
    }
    return o->tls_psk == NULL || init_psk(o->tls_psk);
}

void tls_end(void)
{
    if (tls.certificates != NULL) {
        gnutls_certificate_free_credentials(tls.certificates);
    }
    if (tls.psk_client != NULL) {
        gnutls_psk_free_client_credentials(tls.psk_client);
    }
    if (tls.psk_server != NULL) {
        gnutls_psk_free_server_credentials(tls.psk_server);
    }
}

bool tls_is_decided(void)
{
    return tls.insecure || tls.certificates != NULL || tls.psk_file != NULL;
}

/* ---- A session ---- */

/*
 * Whom the peer's certificate must be for: HOST, that was called, or the one that was configured.
 * GnuTLS keeps the pointers for as long as the session lives. All sessions in which this is the
 * server want the same, and there is one at a time in which it is the client.
 */
static void set_peer(gnutls_session_t session, bool server, const char *host)
{
    static struct {
        char name[256];
        gnutls_typed_vdata_st data[2];
    } peers[2];
    const char *purpose = server ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER;
    const char *wanted = tls.peer != NULL ? tls.peer : host;
    gnutls_typed_vdata_st *data = peers[server].data;

    data[0].type = GNUTLS_DT_KEY_PURPOSE_OID;
    data[0].data = (unsigned char *)(uintptr_t)purpose;
    if (wanted != NULL) {
        (void)snprintf(peers[server].name, sizeof(peers[server].name), "%s", wanted);
        data[1].type = GNUTLS_DT_DNS_HOSTNAME;
        data[1].data = (unsigned char *)peers[server].name;
    }
    gnutls_session_set_verify_cert2(session, data, wanted != NULL ? 2 : 1, 0);
}

static int set_up(gnutls_session_t session, bool server, const char *host)
{
    bool certificates = tls.certificates != NULL;
    int error = gnutls_priority_set_direct(
        session, certificates ? PRIORITY_CERTIFICATES : PRIORITY_PSK, NULL);

    if (error < 0) {
        return error;
    }
    if (!certificates) {
        return server ? gnutls_credentials_set(session, GNUTLS_CRD_PSK, tls.psk_server)
                      : gnutls_credentials_set(session, GNUTLS_CRD_PSK, tls.psk_client);
    }
    if (server) {
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
    }
    set_peer(session, server, host);
    return gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls.certificates);
}

/* Why the handshake, or a record, went wrong. */
static bool explain(struct wire *w, int error)
{
    gnutls_session_t session = w->tls;
    gnutls_datum_t text = {NULL, 0};

    if (error == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR &&
        gnutls_certificate_verification_status_print(gnutls_session_get_verify_cert_status(session),
                                                     GNUTLS_CRT_X509, &text, 0) >= 0) {
        (void)snprintf(w->why, sizeof(w->why), "TLS: the peer's certificate: %s", text.data);
        gnutls_free(text.data);
    } else if (error == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        (void)snprintf(w->why, sizeof(w->why), "TLS: the peer refuses: %s",
                       gnutls_alert_get_name(gnutls_alert_get(session)));
    } else {
        (void)snprintf(w->why, sizeof(w->why), "TLS: %s", gnutls_strerror(error));
    }
    return false;
}

static short wanted_events(const struct wire *w)
{
    gnutls_session_t session = w->tls;

    return gnutls_record_get_direction(session) != 0 ? POLLOUT : POLLIN;
}

bool tls_start(struct wire *w, bool server, const char *host)
{
    gnutls_session_t session;
    int error;

    if (tls.insecure) {
        return true;
    }
    error = gnutls_init(&session, (server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK |
                                      GNUTLS_NO_SIGNAL);
    if (error < 0) {
        (void)snprintf(w->why, sizeof(w->why), "TLS: %s", gnutls_strerror(error));
        return false;
    }
    w->tls = session;
    error = set_up(session, server, host);
    if (error < 0) {
        return explain(w, error);
    }
    gnutls_transport_set_int(session, w->fd);
    return true;
}

enum tls_step tls_shake(struct wire *w, short *events)
{
    gnutls_session_t session = w->tls;
    int error = session == NULL ? 0 : gnutls_handshake(session);

    if (error >= 0) {
        return TLS_READY;
    }
    if (gnutls_error_is_fatal(error) == 0) {
        *events = wanted_events(w);
        return TLS_WAITS;
    }
    (void)explain(w, error);
    (void)gnutls_alert_send_appropriate(session, error);
    return TLS_FAILED;
}

/* What GnuTLS says, as errno. */
static ssize_t result(struct wire *w, ssize_t done, short *events)
{
    if (done >= 0) {
        return done;
    }
    if (gnutls_error_is_fatal((int)done) == 0) {
        *events = wanted_events(w);
        errno = EAGAIN;
    } else {
        (void)explain(w, (int)done);
        errno = EIO;
    }
    return -1;
}

ssize_t tls_read(struct wire *w, uint8_t *bytes, size_t size, short *events)
{
    gnutls_session_t session = w->tls;

    return result(w, gnutls_record_recv(session, bytes, size), events);
}

ssize_t tls_write(struct wire *w, const uint8_t *bytes, size_t size, short *events)
{
    gnutls_session_t session = w->tls;

    return result(w, gnutls_record_send(session, bytes, size), events);
}

bool tls_has_input(const struct wire *w)
{
    gnutls_session_t session = w->tls;

    return session != NULL && gnutls_record_check_pending(session) != 0;
}

void tls_close(struct wire *w)
{
    gnutls_session_t session = w->tls;

    if (session != NULL) {
        (void)gnutls_bye(session, GNUTLS_SHUT_WR);
        gnutls_deinit(session);
        w->tls = NULL;
    }
}
