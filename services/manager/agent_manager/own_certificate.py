"""What the managers' certificate calls them: by that name each knows the others, whose addresses no certificate has."""

from pathlib import Path

from agent_contract.loading import ConfigurationError
from cryptography import x509


def shared_name(certificate: str, address: str | None) -> str | None:
    """Give the name by which another manager's certificate is judged, read from this one's own PEM file.

    Managers of one Deployment show the same certificate, and it names their Service: an address of a pod is not known
    when it is made. One that does name this manager's own `address` was made for this pod alone, and so was that of the
    other: None says that it is judged by its address, as it is where a certificate has no name at all.

    Raises:
        ConfigurationError: the file holds no certificate.

    """
    try:
        read = x509.load_pem_x509_certificate(Path(certificate).read_bytes())
        named = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    except (OSError, ValueError) as error:
        raise ConfigurationError("MANAGER_TLS_CERT", f"cannot use {certificate}: {error}") from error
    if address in [str(one) for one in named.get_values_for_type(x509.IPAddress)]:
        return None
    names: list[str] = named.get_values_for_type(x509.DNSName)
    return names[0].replace("*", "manager") if names else None  # a wildcard stands for any one label
