"""SOAP 1.2 with WS-Addressing and MTOM/XOP, as IHE uses it (Source: ITI TF-2: Appendix V).

Own code: no well-kept Python library is a SOAP server that takes documents as a stream.

* :mod:`ihe.soap.envelope`: envelope ⇄ :class:`~ihe.soap.envelope.SoapRequest`, :class:`~ihe.soap.envelope.SoapReply`
* :mod:`ihe.soap.fault` and :mod:`ihe.soap.error_codes`: refusals and their SOAP form
* :mod:`ihe.soap.multipart`, :mod:`ihe.soap.mtom`: MIME parts ⇄ bytes, and what they mean for a SOAP message
* :mod:`ihe.soap.sinks`: where documents go while they arrive
* :mod:`ihe.soap.http`: the ASGI endpoint
* :mod:`ihe.soap.wsdl`: what a client is told of an endpoint
"""
