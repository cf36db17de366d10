"""What several folders of tests share."""

import pytest

# Its assertions tell values as those of a test file do.
pytest.register_assert_rewrite("executor_contract")


@pytest.fixture(scope="session")
def tiny_text() -> str:
    """File of a space so small that its encoders build in milliseconds: two or four layers, three operations, three levels."""
    return """
architecture:
  encoder_layers: [2, 4]
  hidden_size: [32, 64]
  num_heads: [2]
  operation_types: [sa, l, c]
  operation_parameters: {sa: [sdp], l: [dft], c: [5]}
  feed-forward_hidden: [64]
  number_of_feed-forward_stacks: [1, 2]
"""
