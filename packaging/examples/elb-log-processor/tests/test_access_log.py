"""Lines as the two kinds of load balancer write them."""

import unittest

from access_log import APPLICATION_FIELDS, CLASSIC_FIELDS, UnreadableLine, parse, split, unescape

APPLICATION = (
    "https 2026-03-02T09:15:04.091264Z app/shop/50dc6c495c0c9188 198.51.100.91:62233 10.0.2.23:8080 "
    '0.086 0.048 0.037 200 201 1422 310 "POST https://shop.example.com:443/orders?draft=1 HTTP/1.1" '
    '"Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0" TLS_AES_128_GCM_SHA256 TLSv1.3 '
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/shop/73e2d6bc24d8a067 "
    '"Root=1-67c41f04-0a1b2c3d4e5f60718293a4b5" "shop.example.com" '
    '"arn:aws:acm:eu-west-1:123456789012:certificate/12345678-1234-1234-1234-123456789012" '
    '7 2026-03-02T09:15:03.921000Z "waf,forward" "-" "-" "10.0.2.23:8080" "201" "Acceptable" "AmbiguousUri" '
    'TID_7f5a2c9e0b1d468304 "internal.example.com" "/v2/orders" "TransformSuccess" 192.0.2.200'
)
CLASSIC = (
    "2026-03-02T09:15:31.945958Z shop-classic 192.0.2.39:2817 10.0.3.5:80 0.000073 0.001048 0.000057 200 200 0 29 "
    '"GET http://legacy.example.com:80/ HTTP/1.1" "curl/7.38.0" - -'
)


class ApplicationLoadBalancer(unittest.TestCase):
    def test_every_documented_field_is_read(self):
        fields = parse(APPLICATION).fields
        self.assertEqual(tuple(fields), APPLICATION_FIELDS)
        self.assertEqual(fields["type"], "https")
        self.assertEqual(fields["client"], "198.51.100.91:62233")
        self.assertEqual(fields["target_status_code"], "201")
        self.assertEqual(fields["matched_rule_priority"], "7")
        self.assertEqual(fields["actions_executed"], "waf,forward")
        self.assertIsNone(fields["redirect_url"])
        self.assertEqual(fields["target_port_list"], "10.0.2.23:8080")
        self.assertEqual(fields["classification_reason"], "AmbiguousUri")
        self.assertEqual(fields["transformed_uri"], "/v2/orders")
        self.assertEqual(fields["node_address"], "192.0.2.200")

    def test_the_request_is_taken_apart(self):
        request = parse(APPLICATION)
        self.assertEqual((request.method, request.path), ("POST", "/orders"))
        self.assertEqual((request.status, request.target), (200, "10.0.2.23:8080"))
        self.assertEqual((request.received_bytes, request.sent_bytes), (1422, 310))
        self.assertAlmostEqual(request.latency, 0.171)

    def test_older_lines_have_fewer_fields_and_newer_ones_more(self):
        older = APPLICATION[: APPLICATION.index(" TID_")]
        self.assertNotIn("conn_trace_id", parse(older).fields)
        self.assertEqual(parse(older).status, 200)
        self.assertEqual(parse(APPLICATION + ' "a field of tomorrow"').status, 200)

    def test_a_request_that_reached_no_target_has_no_latency(self):
        line = APPLICATION.replace("10.0.2.23:8080 0.086 0.048 0.037 200 201", "- -1 -1 -1 503 -")
        request = parse(line)
        self.assertIsNone(request.latency)
        self.assertIsNone(request.target)
        self.assertIsNone(request.fields["target_status_code"])
        self.assertEqual(request.status, 503)

    def test_a_request_that_could_not_be_read_has_no_path(self):
        line = APPLICATION.replace("POST https://shop.example.com:443/orders?draft=1 HTTP/1.1", "- http://x.example:80- ")
        self.assertEqual((parse(line).method, parse(line).path), (None, None))

    def test_spaces_in_the_url_stay_in_the_path(self):
        line = APPLICATION.replace("/orders?draft=1", "/red shoes/x")
        self.assertEqual(parse(line).path, "/red shoes/x")


class ClassicLoadBalancer(unittest.TestCase):
    def test_every_documented_field_is_read(self):
        request = parse(CLASSIC)
        self.assertEqual(tuple(request.fields), CLASSIC_FIELDS)
        self.assertEqual((request.method, request.path, request.status), ("GET", "/", 200))
        self.assertEqual(request.user_agent, "curl/7.38.0")
        self.assertIsNone(request.fields["ssl_cipher"])
        self.assertAlmostEqual(request.latency, 0.001178)

    def test_lines_from_before_the_user_agent_was_logged(self):
        request = parse(CLASSIC[: CLASSIC.index(' "curl')])
        self.assertIsNone(request.user_agent)
        self.assertEqual(request.path, "/")

    def test_a_tcp_listener_has_neither_status_nor_path(self):
        request = parse(
            "2026-03-02T09:15:33.009462Z shop-classic 192.0.2.40:51119 10.0.3.5:25 0.001065 0.000015 0.000023 "
            '- - 57 502 "- - - " "-" ECDHE-ECDSA-AES128-GCM-SHA256 TLSv1.2'
        )
        self.assertIsNone(request.status)
        self.assertIsNone(request.path)
        self.assertEqual(request.fields["ssl_protocol"], "TLSv1.2")


class Quoting(unittest.TestCase):
    def test_a_quoted_field_keeps_its_spaces_and_escapes(self):
        self.assertEqual(split(r'a "b \"c\" d" e'), ["a", 'b "c" d', "e"])

    def test_hexadecimal_escapes_are_octets_of_utf_8(self):
        self.assertEqual(unescape(r"caf\xC3\xA9 \x22x\x22"), 'café "x"')

    def test_a_backslash_of_the_client_stays(self):
        self.assertEqual(unescape(r"C:\temp"), r"C:\temp")

    def test_an_escaped_backslash_does_not_start_an_escape(self):
        self.assertEqual(unescape(r"\\x41"), r"\x41")

    def test_octets_that_are_no_text_are_replaced(self):
        self.assertEqual(unescape(r"\xFF"), "\ufffd")


class NotALogLine(unittest.TestCase):
    def refused(self, line, words):
        with self.assertRaisesRegex(UnreadableLine, words):
            parse(line)

    def test_too_few_fields(self):
        self.refused("http 2026-03-02T09:15:04Z app/shop", "3 fields, expected at least 12")

    def test_the_line_that_tests_the_permission(self):
        self.refused("Enable AccessLog for ELB: shop at 2026-03-02T09:15:04Z", "fields, expected")

    def test_a_line_cut_off_inside_quotes(self):
        self.refused(APPLICATION[: APPLICATION.index("Firefox")], "opens a quote that is not closed")

    def test_a_word_where_a_number_belongs(self):
        self.refused(CLASSIC.replace(" 200 200 ", " OK 200 "), "`elb_status_code` is 'OK', expected a number")

    def test_another_time_format(self):
        self.refused(CLASSIC.replace("2026-03-02T09:15:31.945958Z", "02/Mar/2026"), "expected an ISO 8601 time")


if __name__ == "__main__":
    unittest.main()
