"""What several folders of tests share."""

import pytest

# Its assertions tell values as those of a test file do.
pytest.register_assert_rewrite("executor_contract")
